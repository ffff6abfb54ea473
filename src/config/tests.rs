use super::*;
use crate::data::Resize;
use crate::frames::SplitBy;
use crate::loss::Loss;

/// A run's config.toml as it was written before there were sets of events.
const OLD: &str = r#"
dataset = "cifar10"
grey = false
allow-partial = true
net = "16C3-MP2-10Voting"
rule = "bpsa+bpta"
alpha = 0.8
threshold = 0.5
decay = 0.9
time-steps = 8
batch = 64
epochs = 5
lr = 0.001
weight-decay = 0.0001
schedule = "restarts:10:2"
warm-up = "ann:1"
bn = "per-step"
loss = "mse"
seed = 1
eval-every = 1
checkpoint-every = 0
val-split = 0.0
best-on = "last"
augment = true
engine = "cpu"
isa = "avx2"
"#;

fn options(dataset: DatasetName) -> Options {
    Options { dataset: Some(dataset), images_dir: Some("d".into()), events_dir: Some("d".into()), ..Options::default() }
}

#[test]
fn files_of_earlier_runs_still_load() {
    let config = Config::from_toml(OLD).unwrap();
    assert_eq!(
        (config.split_by, config.resize, config.event_drop, config.strict, config.relu),
        (SplitBy::Number, Resize::None, 0.0, false, true)
    );
    let again = Config::from_toml(&config.to_toml().unwrap()).unwrap();
    assert!(config.differences(&again).is_empty());
    let more_lines = Config { credit_every: Some(1), ..config.clone() };
    assert!(config.credit_every.is_none() && config.differences(&more_lines).is_empty(), "another look is not another run");
    assert_eq!(Options::from_toml(OLD).unwrap().complete().unwrap(), config);
}

#[test]
fn a_configuration_that_lacks_an_option_of_the_first_runs_is_refused() {
    let without = |key: &str| OLD.lines().filter(|l| !l.starts_with(key)).collect::<Vec<_>>().join("\n");
    for key in ["dataset", "alpha", "warm-up", "allow-partial"] {
        let e = Config::from_toml(&without(key)).unwrap_err();
        assert!(e.kind == crate::error::Kind::Format && e.what.contains(&format!("missing field `{key}`")), "{e}");
    }
    Config::from_toml(&without("isa")).unwrap();
}

/// A study keeps a data set while these stay, and loading one sees nothing else.
#[test]
fn a_data_set_is_told_by_the_options_that_say_which_samples_are_loaded() {
    let everywhere = [
        "dataset",
        "data_dir",
        "images_dir",
        "events_dir",
        "cache",
        "allow_partial",
        "size",
        "grey",
        "strict",
        "train_limit",
        "test_limit",
    ];
    let of = |mark: Mark| Options::ALL.iter().filter(|(_, marks)| marks.contains(&mark)).map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!((of(Mark::Data), of(Mark::Frames), of(Mark::Drawn)), (everywhere.to_vec(), vec!["time_steps", "split_by"], vec!["seed"]));
    let said = |set: DatasetName| options(set).complete().unwrap().of_data().differing(&Options::default());
    let both = ["allow-partial", "dataset", "events-dir", "grey", "images-dir"];
    let with = |rest: &[&'static str]| {
        let mut all = [&both[..], rest, &["strict"]].concat();
        all.sort_unstable();
        all
    };
    assert_eq!(said(DatasetName::Mnist), with(&[]));
    assert_eq!(said(DatasetName::Glyphs), with(&["seed"]));
    assert_eq!(said(DatasetName::NMnist), with(&["time-steps", "split-by"]));
    assert_eq!(said(DatasetName::Motions), with(&["time-steps", "split-by", "seed"]));
    for set in DatasetName::ALL {
        let seen = options(set).complete().unwrap().of_data();
        assert_eq!(seen.clone().complete().unwrap().of_data(), seen, "{set}");
    }
}

#[test]
fn choices_have_the_same_names_in_files_as_on_the_command_line() {
    fn same<T: serde::Serialize + std::str::FromStr + PartialEq + Copy + std::fmt::Debug>(all: &[T], name: fn(T) -> &'static str) {
        for &choice in all {
            assert_eq!(serde_json::to_value(choice).unwrap(), name(choice));
            assert_eq!(name(choice).parse().ok(), Some(choice));
        }
    }
    same(&Rule::ALL, Rule::name);
    same(&Loss::ALL, Loss::name);
    same(&SplitBy::ALL, SplitBy::name);
    same(&Resize::ALL, Resize::name);
    same(&NormMode::ALL, NormMode::name);
    same(&BestOn::ALL, BestOn::name);
    same(&EngineName::ALL, EngineName::name);
    same(&InstructionSet::ALL, InstructionSet::name);
}

#[test]
fn errors_grow_by_what_equation_10_multiplies_them_with() {
    let growth = |o: Options| o.complete().unwrap().largest_growth();
    let all =
        |rule, time_steps, alpha| Options { rule: Some(rule), time_steps: Some(time_steps), alpha: Some(alpha), ..Options::default() };
    // λα/u_th = 0.9 · 0.8 / 0.5 = 1.44; to the 15th: 237.
    assert!((growth(all(Rule::BpsaBpta, 16, 0.8)) - 237.4).abs() < 0.1);
    assert!((growth(all(Rule::BpsaBpta, 2, 0.8)) - 1.44).abs() < 1e-12);
    assert_eq!((growth(all(Rule::BpsaBpta, 1, 0.8)), growth(all(Rule::Bpsa, 16, 0.8)), growth(all(Rule::Stbp, 16, 0.8))), (1.0, 0.0, 0.0));
}

#[test]
fn every_set_has_defaults_that_survive_a_file() {
    for dataset in DatasetName::ALL {
        let config = options(dataset).complete().unwrap();
        assert_eq!(Config::from_toml(&config.to_toml().unwrap()).unwrap(), config);
        // The paper's α on every set but our own, which was made to be learned in minutes.
        assert_eq!(config.alpha, if dataset == DatasetName::Motions { 0.2 } else { 0.8 });
    }
    assert_eq!(DEFAULTS.map(|d| d.dataset), DatasetName::ALL);
}

#[test]
fn sets_of_events_are_prepared_as_in_the_method() {
    let prep = |o: Options| o.complete().unwrap().preparation(2);
    let gesture = prep(options(DatasetName::DvsGesture));
    assert_eq!((gesture.crop_pad, gesture.flip, gesture.rotate, gesture.resize), (16, false, 5.0, Resize::Nearest));
    let cifar = prep(options(DatasetName::DvsCifar10));
    assert_eq!((cifar.crop_pad, cifar.flip, cifar.rotate, cifar.resize), (16, true, 15.0, Resize::Nearest));
    for still in [DatasetName::NMnist, DatasetName::Motions, DatasetName::Events] {
        assert_eq!(prep(options(still)), Preparation::scale_only(2), "{still}");
    }
    let said = Options { augment: Some(false), resize: Some(Resize::Sum), event_drop: Some(0.25), ..options(DatasetName::DvsCifar10) };
    assert_eq!(prep(said), Preparation { resize: Resize::Sum, event_drop: 0.25, ..Preparation::scale_only(2) });
    let moved = prep(Options { augment: Some(true), ..options(DatasetName::Motions) });
    assert!(moved.crop_pad > 0 && !moved.flip && moved.rotate == 0.0, "a mirror makes another class of a motion");
}

#[test]
fn what_acts_on_events_is_refused_for_pictures() {
    let wrong = |o: Options, words: &[&str]| {
        let e = o.complete().unwrap_err();
        assert!(e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    let mnist = || options(DatasetName::Mnist);
    wrong(Options { resize: Some(Resize::Sum), ..mnist() }, &["--resize", "mnist holds pictures"]);
    wrong(Options { split_by: Some(SplitBy::Time), ..mnist() }, &["--split-by"]);
    wrong(Options { strict: Some(true), ..mnist() }, &["--strict"]);
    wrong(Options { event_noise: Some(0.1), ..mnist() }, &["--event-noise"]);
    wrong(Options { event_drop: Some(1.0), ..options(DatasetName::NMnist) }, &["--event-drop", "0 to below 1"]);
    wrong(Options { event_noise: Some(f64::NAN), ..options(DatasetName::NMnist) }, &["--event-noise"]);
    wrong(Options { split_by: Some(SplitBy::Time), ..options(DatasetName::Motions) }, &["--split-by time", "visit by visit"]);
    wrong(Options { events_dir: None, ..options(DatasetName::Events) }, &["--dataset events DIR"]);
}

#[test]
fn numbers_that_no_file_can_hold_are_refused() {
    let most = i64::MAX as usize;
    let beyond = Some(most + 1);
    let options = [
        ("--train-limit", Options { train_limit: beyond, ..Options::default() }),
        ("--test-limit", Options { test_limit: beyond, ..Options::default() }),
        ("--checkpoint-every", Options { checkpoint_every: beyond, ..Options::default() }),
        ("--credit-every", Options { credit_every: beyond, ..Options::default() }),
        ("--seed", Options { seed: Some(u64::MAX), ..Options::default() }),
    ];
    for (option, o) in options {
        let e = o.complete().unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains(option), "{e}");
    }
    let last = Options {
        train_limit: Some(most),
        test_limit: Some(most),
        checkpoint_every: Some(most),
        seed: Some(most as u64),
        ..Options::default()
    };
    last.complete().unwrap().to_toml().unwrap();
}

use super::*;
use crate::curriculum::TimeSteps;
use crate::data::{DatasetName, Resize, sets};
use crate::frames::SplitBy;
use crate::loss::Loss;
use crate::schedule::{Schedule, WarmUp};

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
        "sort",
        "strict",
        "train_limit",
        "test_limit",
    ];
    let of = |mark: Mark| Options::ALL.iter().filter(|(_, marks)| marks.contains(&mark)).map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!((of(Mark::Data), of(Mark::Frames), of(Mark::Drawn)), (everywhere.to_vec(), vec!["time_steps", "split_by"], vec!["seed"]));
    let said = |set: DatasetName| options(set).complete().unwrap().of_data().differing(&Options::default());
    let both = ["allow-partial", "dataset", "events-dir", "grey", "images-dir"];
    let with = |rest: &[&'static str]| {
        let mut all = [&both[..], rest, &["sort", "strict"]].concat();
        all.sort_unstable();
        all
    };
    assert_eq!(said(sets::MNIST), with(&[]));
    assert_eq!(said(sets::GLYPHS), with(&["seed"]));
    assert_eq!(said(sets::NMNIST), with(&["time-steps", "split-by"]));
    assert_eq!(said(sets::MOTIONS), with(&["time-steps", "split-by", "seed"]));
    for set in sets::ALL {
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
    same(&ClassWeights::ALL, ClassWeights::name);
    same(&InstructionSet::ALL, InstructionSet::name);
}

#[test]
fn errors_grow_by_what_equation_10_multiplies_them_with() {
    let growth = |o: Options| o.complete().unwrap().largest_growth();
    let all = |rule, time_steps, alpha| Options {
        rule: Some(rule),
        time_steps: Some(TimeSteps::Same(time_steps)),
        alpha: Some(alpha),
        ..Options::default()
    };
    // λα/u_th = 0.9 · 0.8 / 0.5 = 1.44; to the 15th: 237.
    assert!((growth(all(Rule::BpsaBpta, 16, 0.8)) - 237.4).abs() < 0.1);
    assert!((growth(all(Rule::BpsaBpta, 2, 0.8)) - 1.44).abs() < 1e-12);
    assert_eq!((growth(all(Rule::BpsaBpta, 1, 0.8)), growth(all(Rule::Bpsa, 16, 0.8)), growth(all(Rule::Stbp, 16, 0.8))), (1.0, 0.0, 0.0));
}

#[test]
fn every_set_has_defaults_that_survive_a_file() {
    for dataset in sets::ALL {
        let config = options(dataset).complete().unwrap();
        assert_eq!(Config::from_toml(&config.to_toml().unwrap()).unwrap(), config);
        for recipe in Recipe::ALL {
            let Ok(config) = (Options { recipe: Some(recipe), ..options(dataset) }).complete() else {
                assert!(dataset.authors.is_none() && recipe != Recipe::Standard, "{recipe:?} of {dataset}");
                continue;
            };
            assert_eq!(Config::from_toml(&config.to_toml().unwrap()).unwrap(), config);
            let theirs = [(Recipe::Paper, 0.8), (Recipe::Released, 0.2)];
            assert!(theirs.iter().all(|&(name, alpha)| recipe != name || config.alpha == alpha && config.bn == NormMode::PerStep));
        }
    }
}

#[test]
fn a_recipe_gives_what_is_not_said() {
    let paper = Options { recipe: Some(Recipe::Paper), lr: Some(0.1), ..options(sets::MNIST) }.complete().unwrap();
    assert_eq!((paper.net.as_str(), paper.epochs, paper.time_steps, paper.lr), ("small", 300, 16.into(), 0.1));
    let released = Options { recipe: Some(Recipe::Released), ..options(sets::CIFAR10) }.complete().unwrap();
    assert_eq!((released.epochs, released.warm_up, released.schedule), (500, WarmUp::Ann(80), Schedule::RampCosine));
    let e = Options { recipe: Some(Recipe::Paper), ..options(sets::FASHION_MNIST) }.complete().unwrap_err().to_string();
    assert!(e.contains("--recipe paper") && e.contains("mnist, cifar10, nmnist"), "{e}");
    let rate = |rule: Rule| Options { rule: Some(rule), ..options(sets::MNIST) }.complete().unwrap().lr;
    assert_eq!([rate(Rule::BpsaBpta), rate(Rule::Stbp)], sets::MNIST.defaults.lr);
}

#[test]
fn a_curriculum_says_its_epochs() {
    let complete = |steps: &str, epochs: Option<usize>| {
        let time_steps = (!steps.is_empty()).then(|| steps.parse().unwrap());
        Options { time_steps, epochs, ..options(sets::MNIST) }.complete()
    };
    let run = complete("2:4,4:6", None).unwrap();
    assert_eq!((run.epochs, run.at_last_steps().time_steps), (10, 4.into()));
    let e = complete("2:4,4:6", Some(11)).unwrap_err().to_string();
    assert!(e.contains("--time-steps 2:4,4:6") && e.contains("leave --epochs out"), "{e}");
    assert_eq!(complete("8", Some(3)).unwrap().time_steps, 8.into());
    // The recipe's own shares are kept.
    assert_eq!(complete("", Some(3)).unwrap().time_steps.epochs(), sets::MNIST.defaults.time_steps.contains(':').then_some(3));
}

#[test]
fn sets_of_events_are_prepared_as_in_the_method() {
    let prep = |o: Options| o.complete().unwrap().preparation(2);
    let gesture = prep(options(sets::DVS_GESTURE));
    assert_eq!((gesture.crop_pad, gesture.flip, gesture.rotate, gesture.resize), (16, false, 5.0, Resize::Nearest));
    let cifar = prep(options(sets::DVS_CIFAR10));
    assert_eq!((cifar.crop_pad, cifar.flip, cifar.rotate, cifar.resize), (16, true, 15.0, Resize::Nearest));
    for still in [sets::NMNIST, sets::MOTIONS, sets::EVENTS] {
        assert_eq!(prep(options(still)), Preparation::scale_only(2), "{still}");
    }
    let said = Options { augment: Some(false), resize: Some(Resize::Sum), event_drop: Some(0.25), ..options(sets::DVS_CIFAR10) };
    assert_eq!(prep(said), Preparation { resize: Resize::Sum, event_drop: 0.25, ..Preparation::scale_only(2) });
    let moved = prep(Options { augment: Some(true), ..options(sets::MOTIONS) });
    assert!(moved.crop_pad > 0 && !moved.flip && moved.rotate == 0.0, "a mirror makes another class of a motion");
}

#[test]
fn what_acts_on_events_is_refused_for_pictures() {
    let wrong = |o: Options, words: &[&str]| {
        let e = o.complete().unwrap_err();
        assert!(e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    let mnist = || options(sets::MNIST);
    wrong(Options { resize: Some(Resize::Sum), ..mnist() }, &["--resize", "mnist holds pictures"]);
    wrong(Options { split_by: Some(SplitBy::Time), ..mnist() }, &["--split-by"]);
    wrong(Options { strict: Some(true), ..mnist() }, &["--strict"]);
    wrong(Options { event_noise: Some(0.1), ..mnist() }, &["--event-noise"]);
    wrong(Options { event_drop: Some(1.0), ..options(sets::NMNIST) }, &["--event-drop", "0 to below 1"]);
    wrong(Options { event_noise: Some(f64::NAN), ..options(sets::NMNIST) }, &["--event-noise"]);
    wrong(Options { split_by: Some(SplitBy::Time), ..options(sets::MOTIONS) }, &["--split-by time", "visit by visit"]);
    wrong(Options { events_dir: None, ..options(sets::EVENTS) }, &["--dataset events DIR"]);
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

use super::chart::{Lines, Series};
use super::run::groups;
use super::*;
use crate::config::{BestOn, Options};
use crate::credit::{CREDIT, CreditLine, Growth, LayerCredit, MARGIN_BINS};
use crate::engine::Layout;
use crate::plural::{grouped, thousands};
use crate::shape::Chw;
use crate::train::EpochLine;

#[test]
fn csv_quotes_what_would_break_a_line() {
    let table = Table { columns: vec!["a".into(), "b,c".into()], rows: vec![vec!["say \"x\"".into(), "1\n2".into()]] };
    assert_eq!(table.csv(), "a,\"b,c\"\n\"say \"\"x\"\"\",\"1\n2\"\n");
}

#[test]
fn numbers_have_four_digits() {
    let cases = [
        (0.0, "0"),
        (0.12345, "0.1235"),
        (99.5, "99.5"),
        (1234.5, "1234"),
        (100.0, "100"),
        (1e-5, "1.00e-5"),
        (-0.25, "-0.25"),
        (12345678.0, "1.23e7"),
    ];
    for (value, text) in cases {
        assert_eq!(short(value), text);
    }
}

pub(super) fn line(epoch: u64, accuracy: f64, rates: [f64; 2]) -> EpochLine {
    EpochLine {
        time_steps: None,
        epoch,
        step: epoch,
        warm_up: "none".into(),
        loss: 0.1 / epoch as f64,
        train_accuracy: accuracy,
        test_accuracy: Some(accuracy),
        test_loss: Some(0.1),
        test_balanced_accuracy: None,
        test_commonest_class: None,
        test_commonest_answer: None,
        validation_accuracy: None,
        validation_loss: None,
        learning_rate: 1e-3,
        firing_rates: rates.to_vec(),
        test_firing_rates: None,
        operations: None,
        samples_per_s: 1.0,
        seconds: 1.0,
    }
}

pub(super) fn run(name: &str, options: Options, epochs: Vec<EpochLine>) -> Run {
    let config = Options { net: Some("20FC-10Voting".into()), ..options }.complete().unwrap();
    Run {
        name: name.into(),
        path: name.into(),
        config_toml: config.to_toml().unwrap(),
        config,
        epochs,
        credit: Vec::new(),
        result: None,
        cost: None,
        remarks: Vec::new(),
    }
}

fn credit(mass: [f64; 4], above_one: f64) -> CreditLine {
    let layer = LayerCredit {
        name: "20FC".into(),
        mass: mass.to_vec(),
        space: mass.to_vec(),
        time: vec![0.0; 4],
        across: vec![0.0; 4],
        silent: 0.0,
        saturated: 0.0,
        rate: 0.1,
        margin: [1; MARGIN_BINS],
        growth: Growth { pairs: 10, mean: 1.0, largest: 1.44, above_one },
    };
    CreditLine { kind: CREDIT.into(), epoch: 1, step: 1, samples: 8, layers: vec![layer] }
}

#[test]
fn every_trouble_is_said_in_words_and_health_is_not() {
    let healthy = || vec![line(1, 0.9, [0.1, 0.2]), line(2, 0.89, [0.1, 0.2])];
    assert_eq!(warnings::all(&[run("r", Options::default(), healthy())], None), [""; 0]);
    let mut growing = run("r", Options::default(), healthy());
    growing.credit = vec![credit([1.0, 1.0, 1.0, 1.0], 0.1), credit([200.0, 50.0, 8.0, 2.0], 0.7)];
    let mut calm = run("r", Options::default(), healthy());
    calm.credit = vec![credit([10.0, 5.0, 2.0, 1.0], 0.3)];
    assert_eq!(warnings::all(&[calm], None), [""; 0]);
    let cases = [
        (run("r", Options::default(), vec![line(1, 0.9, [0.0009, 0.2])]), vec!["layer 1 (20FC) is dead"]),
        (run("r", Options::default(), vec![line(1, 0.9, [0.1, 0.51])]), vec!["layer 2 (10Voting) fires at 51.00 %"]),
        (
            run("r", Options::default(), vec![line(1, 0.9, [0.1; 2]), line(2, 0.87, [0.1; 2])]),
            vec!["fell from 90.00 % in epoch 1 to 87.00 %"],
        ),
        (run("r", Options { best_on: Some(BestOn::Test), ..Options::default() }, healthy()), vec!["chosen on the test set"]),
        (
            run("r", Options { dataset: Some(crate::data::sets::MOTIONS), time_steps: Some(8.into()), ..Options::default() }, healthy()),
            vec!["simulated"],
        ),
        (
            run("r", Options { dataset: Some(crate::data::sets::MNIST), train_limit: Some(500), ..Options::default() }, healthy()),
            vec!["limited to 500 training samples"],
        ),
        (growing, vec!["grow across spikes in layer 1 (20FC): 70.00 %", "the first steps hold 100 times"]),
    ];
    for (run, words) in &cases {
        let said = warnings::all(std::slice::from_ref(run), None);
        assert_eq!(said.len(), words.len(), "{said:?}");
        said.iter().zip(words).for_each(|(s, w)| assert!(s.contains(w), "no '{w}' in '{s}'"));
    }
    println!("{} troubles", cases.len());
}

#[test]
fn runs_that_differ_in_their_seed_are_one_line() {
    let seeded = |name: &str, seed, alpha, accuracy| {
        run(name, Options { seed: Some(seed), alpha: Some(alpha), ..Options::default() }, vec![line(1, accuracy, [0.1; 2])])
    };
    let runs = [seeded("x-s1", 1, 0.2, 0.5), seeded("y", 1, 0.8, 0.6), seeded("x-s2", 2, 0.2, 0.7)];
    let names: Vec<String> = groups(&runs).into_iter().map(|g| g.0).collect();
    assert_eq!(names, ["x, 2 seeds", "y"]);
    let section = curves::section(&runs).unwrap();
    let accuracy = section.figures().next().unwrap();
    assert_eq!(accuracy.table.csv(), "epoch,\"x, 2 seeds\",y\n1,60,60\n");
}

#[test]
fn accuracy_stands_beside_the_seconds_and_operations_it_took() {
    let line =
        |epoch, accuracy, seconds, operations| EpochLine { seconds, operations: Some(operations), ..line(epoch, accuracy, [0.1; 2]) };
    let of = |name: &str, seed, alpha, epochs| run(name, Options { seed: Some(seed), alpha: Some(alpha), ..Options::default() }, epochs);
    let tera = 1_000_000_000_000;
    let runs = [
        of("x-s1", 1, 0.2, vec![line(1, 0.5, 2.0, tera), line(2, 0.8, 2.0, tera)]),
        of("x-s2", 2, 0.2, vec![line(1, 0.7, 4.0, 3 * tera), line(2, 0.8, 2.0, tera)]),
        of("y", 1, 0.8, vec![line(1, 0.7, 10.0, 4 * tera), line(2, 0.9, 10.0, 4 * tera)]),
    ];
    let section = pace::section(&runs).unwrap();
    let tables: Vec<String> = section.figures().map(|f| f.table.csv()).collect();
    assert!(tables[0].ends_with("\"x, 2 seeds\",3,60\n\"x, 2 seeds\",5,80\ny,10,70\ny,20,90\n"), "{}", tables[0]);
    assert!(tables[1].ends_with("\"x, 2 seeds\",2,60\n\"x, 2 seeds\",3,80\ny,4,70\ny,8,90\n"), "{}", tables[1]);
    let Some(Part::Table(reached)) = section.parts.last() else { panic!("no table") };
    assert_eq!(reached.rows, [["x, 2 seeds", "2", "5", "3", "80.00"], ["y", "2", "20", "8", "90.00"]]);
}

#[test]
fn a_chart_bears_what_is_not_finite_and_a_single_point() {
    let points = vec![(1.0, f64::NAN), (2.0, 3.0)];
    let series = vec![Series { name: "a <b> & c".into(), points }, Series::counted("d", [f64::INFINITY])];
    let svg = chart::lines(&Lines { x: "x".into(), y: "y".into(), series, ..Lines::default() }).unwrap();
    assert!(svg.contains("a &lt;b&gt; &amp; c") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn colours_grow_darker_with_the_value_and_nothing_is_grey() {
    let light = |[r, g, b]: [u8; 3]| u32::from(r) + u32::from(g) + u32::from(b);
    assert!((0..20).all(|i| light(heat::sequential(f64::from(i) / 20.0)) > light(heat::sequential(f64::from(i + 1) / 20.0))));
    assert_eq!(heat::diverging(0.0), [247, 247, 247]);
    let [red, _, blue] = heat::diverging(-1.0);
    assert!(blue > red && heat::diverging(1.0)[0] > heat::diverging(1.0)[2]);
    assert_eq!(heat::sequential(f64::NAN), [190, 190, 190]);
}

#[test]
fn filters_are_tiles_with_gaps_between() {
    // Two units of two channels of 1x1: a unit is two tiles side by side.
    let layout = Layout::Conv { out: 2, inp: 2, k: 1 };
    let svg = pixels::Pixels::filters(layout, &[1.0, -1.0, 0.0, 0.5], 2).svg(100);
    assert_eq!(svg.matches("h4v1h-4z").count(), 4 * 4, "{svg}");
    let linear = Layout::Linear { out: 3, inp: Chw::new(2, 4, 4) };
    let svg = pixels::Pixels::filters(linear, &[0.5; 96], 3).svg(100);
    assert_eq!(svg.matches("h4v1h-4z").count(), 3 * 2 * 4, "{svg}");
}

#[test]
fn a_picture_has_runs_of_its_colours() {
    let svg = pixels::Pixels::picture(&[0.0, 0.0, 1.0, 1.0, 1.0, 1.0], Chw::new(1, 2, 3)).svg(30);
    assert!(svg.contains("viewBox=\"0 0 3 2\"") && svg.contains("M0 0h2v1h-2z") && svg.contains("M2 0h1v1h-1zM0 1h3v1h-3z"), "{svg}");
}

#[test]
fn counts_are_grouped_and_agree_with_their_noun() {
    assert_eq!([thousands(7), thousands(1234), thousands(1_234_567)], ["7", "1,234", "1,234,567"]);
    assert_eq!([amount(0.5), amount(999.4), amount(1000.4), amount(140_123.0)], ["0.5", "999.4", "1,000", "140,123"]);
    assert_eq!(
        [grouped(1, "epoch"), grouped(2, "epoch"), grouped(0, "spike"), grouped(9248, "neuron")],
        ["1 epoch", "2 epochs", "0 spikes", "9,248 neurons"]
    );
}

/// x, y and words of the texts of a picture.
fn texts(svg: &str) -> Vec<(f64, f64, String)> {
    let of = |tag: &str, name: &str| tag.split_once(&format!(" {name}=\""))?.1.split('"').next()?.parse().ok();
    let text = |t: &str| {
        let (tag, words) = t.split_once('>')?;
        Some((of(tag, "x")?, of(tag, "y")?, words.split("</text>").next()?.trim().to_string()))
    };
    svg.split("<text").skip(1).filter_map(text).collect()
}

#[test]
fn ticks_begin_with_a_digit_and_leave_each_other_room() {
    let ends = [2.1e-4, 1.04e-3, 9.9e-3, 0.0123, 0.5, 3.2, 100.0, 48_000.0, 1.2e7];
    let mut ticks = 0;
    for x in ends {
        for y in ends {
            let points = vec![(0.3 * x, 0.2 * y), (0.6 * x, y), (x, 0.4 * y)];
            let series = vec![Series { name: String::new(), points }];
            let chart = Lines { x: "x axis".into(), y: "y axis".into(), series, real: true, ..Lines::default() };
            let texts = texts(&chart::lines(&chart).unwrap());
            let numbers: Vec<_> = texts.iter().filter(|t| !t.2.ends_with("axis")).collect();
            for (_, _, text) in &numbers {
                assert!(text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok(), "tick '{text}' up to {x}, {y}");
            }
            let below = numbers.iter().map(|t| t.1).fold(0.0, f64::max);
            let row: Vec<_> = numbers.iter().filter(|t| t.1 == below).collect();
            for pair in row.windows(2) {
                let wide = 7.0 * (pair[0].2.len() + pair[1].2.len()) as f64 / 2.0;
                assert!((pair[1].0 - pair[0].0).abs() > wide, "'{}' and '{}' meet", pair[0].2, pair[1].2);
            }
            assert!(row.len() > 1 && numbers.len() > row.len() + 1, "{texts:?}");
            ticks += numbers.len();
        }
    }
    println!("{ticks} ticks");
}

/// How the page and the pictures say that a stretch is shaded.
fn shaded(f: &Figure) -> (bool, bool) {
    (f.svg.contains("fill=\"#88929E\""), f.note.contains("Shaded: "))
}

#[test]
fn a_warm_up_is_shaded_and_said_where_its_epochs_are_drawn() {
    let of = |name: &str, rule, kind: &str| {
        let mut epochs: Vec<EpochLine> = (1..=3).map(|e| line(e, 0.5, [0.1; 2])).collect();
        epochs[0].warm_up = kind.into();
        run(name, Options { rule: Some(rule), ..Options::default() }, epochs)
    };
    let (one, other) = (crate::neuron::Rule::Bpsa, crate::neuron::Rule::Stbp);
    let all = |runs: &[Run]| -> Vec<Figure> {
        let sections = [curves::section(runs).unwrap(), curves::rates(runs).unwrap()];
        sections.iter().flat_map(|s| s.figures().cloned()).collect()
    };
    for f in all(&[of("a", one, "tssl"), of("b", other, "none")]) {
        // The layers of run b have no warm-up of their own.
        assert_eq!(shaded(&f), if f.name == "rates-2" { (false, false) } else { (true, true) }, "{}", f.name);
        if f.name == "accuracy" {
            assert!(f.note.contains("a: tssl warm-up, epoch 1; b: no warm-up"), "{}", f.note);
        }
    }
    // Nothing spikes in ann: curves of rates begin behind it.
    for f in all(&[of("a", one, "ann"), of("b", other, "ann")]) {
        let drawn = !f.name.starts_with("rates");
        assert_eq!(shaded(&f), (drawn, drawn), "{}: {}", f.name, f.note);
    }
    for f in all(&[of("a", one, "none")]) {
        assert_eq!(shaded(&f), (false, false), "{}", f.name);
    }
}

#[test]
fn captions_speak_of_augmentation_where_there_is_some() {
    let of =
        |augment, seed| run("r", Options { augment: Some(augment), seed: Some(seed), ..Options::default() }, vec![line(1, 0.5, [0.1; 2])]);
    let notes = |runs: &[Run]| curves::section(runs).unwrap().figures().map(|f| f.note.clone()).collect::<String>();
    assert!(!notes(&[of(false, 1)]).contains("augment"));
    assert!(notes(&[of(true, 1)]).contains("while the weights change and on augmented samples."));
    assert!(notes(&[of(true, 1), of(false, 2)]).contains("in the runs that augment, on augmented samples"));
    assert!(!notes(&[of(false, 1), of(false, 2)]).contains("augment"));
}

#[test]
fn operations_are_shown_in_a_unit_that_leaves_digits() {
    let of = |name: &str, rule, operations| {
        let epochs = (1..=3).map(|e| EpochLine { operations: Some(operations), ..line(e, 0.5, [0.1; 2]) }).collect();
        run(name, Options { rule: Some(rule), ..Options::default() }, epochs)
    };
    let runs = [of("a", crate::neuron::Rule::Bpsa, 250_000_000), of("b", crate::neuron::Rule::Stbp, 500_000_000)];
    let section = pace::section(&runs).unwrap();
    let figure = section.figures().find(|f| f.name == "operations").unwrap();
    assert!(figure.svg.contains("10⁹ operations"), "{}", figure.svg);
    assert!(figure.table.csv().contains("a,0.25,50\n") && figure.table.csv().contains("b,1.5,50\n"), "{}", figure.table.csv());
}

#[test]
fn weights_say_their_value_under_the_pointer() {
    let layout = Layout::Conv { out: 1, inp: 2, k: 1 };
    let svg = pixels::Pixels::filters(layout, &[1.0, -0.25], 1).svg(100);
    assert!(svg.contains("<title>unit 1, channel 2, row 1, column 1: -0.25</title>"), "{svg}");
}

#[test]
fn a_single_epoch_has_no_other_beside_it() {
    for epoch in [1, 30] {
        let section = curves::section(&[run("r", Options::default(), vec![line(epoch, 0.5, [0.1; 2])])]).unwrap();
        let figure = section.figures().next().unwrap();
        let below = texts(&figure.svg).into_iter().filter(|t| t.2.parse::<f64>().is_ok()).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        let row: Vec<_> = texts(&figure.svg).into_iter().filter(|t| t.1 == below.1 && !t.2.is_empty()).map(|t| t.2).collect();
        assert_eq!(row, [epoch.to_string()]);
    }
}

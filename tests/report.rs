//! `spiketrain report`: a page that says everything, fetches nothing, and that a browser shows without complaint; and what it
//! answers to folders that are no good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

const SECTIONS: [&str; 11] =
    ["warnings", "summary", "curves", "rates", "energy", "latency", "samples", "confusion", "filters", "credit", "environment"];

fn spiketrain(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut c = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    c.args(args).current_dir(dir).env_remove("SPIKETRAIN_DATA").env("HOME", dir).env_remove("XDG_DATA_HOME");
    let Output { status, stdout, stderr } = c.output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A run of seconds on built-in digits.
fn train(dir: &Path, out: &str, more: &[&str]) {
    let fixed = ["train", "--epochs=2", "-T=4", "--train-limit=160", "--test-limit=60", "--batch=16"];
    let net: &[&str] = if more.contains(&"--dataset=motions") { &["--net=AP16-11Voting"] } else { &["--net=4C3-MP4-20FC-10Voting"] };
    let args: Vec<&str> = fixed.iter().chain(net).chain(&["--out", out]).chain(more).copied().collect();
    let (code, _, err) = spiketrain(dir, &args);
    assert_eq!(code, 0, "{err}");
}

fn report(dir: &Path, args: &[&str]) -> String {
    let args: Vec<&str> = ["report"].iter().chain(args).copied().collect();
    let (code, out, err) = spiketrain(dir, &args);
    assert_eq!(code, 0, "{out}{err}");
    err
}

/// Fails with this exit code and these words.
fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    let args: Vec<&str> = ["report"].iter().chain(args).copied().collect();
    let (code, out, err) = spiketrain(dir, &args);
    assert_eq!(code, 2, "{args:?}: {out}{err}");
    words.iter().for_each(|w| assert!(err.contains(w), "{args:?}: no '{w}' in: {err}"));
}

/// A layer whose gradient grows fiftyfold back in time.
fn credit_line(epoch: u64, step: u64) -> String {
    let layer = |name: &str, scale: f64| {
        let mass: Vec<f64> = [50.0, 10.0, 3.0, 1.0].iter().map(|m| m * scale).collect();
        let part = |share: f64| mass.iter().map(|m| m * share).collect::<Vec<_>>();
        json!({"name": name, "mass": mass, "space": part(0.5), "time": part(0.3), "across": part(0.2), "silent": 0.25, "saturated": 0.125, "rate": 0.1,
            "margin": [8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "growth": {"pairs": 20, "mean": 1.1, "largest": 1.44, "above_one": 0.6}})
    };
    let layers = [layer("4C3", 1.0), layer("20FC", 2.0), layer("10Voting", 4.0)];
    json!({"kind": "credit", "epoch": epoch, "step": step, "samples": 8, "layers": layers}).to_string() + "\n"
}

fn append(path: &Path, text: &str) {
    let old = fs::read_to_string(path).unwrap();
    fs::write(path, old + text).unwrap();
}

/// Every tag is closed, in order; gives the number of elements.
fn balanced(text: &str) -> usize {
    const VOID: [&str; 2] = ["meta", "br"];
    let (mut open, mut rest, mut elements) = (Vec::new(), text, 0);
    while let Some((_, from)) = rest.split_once('<') {
        let (tag, after) = from.split_once('>').expect("a tag without an end");
        rest = after;
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').find(|n| !n.is_empty()).unwrap_or("");
        match tag {
            _ if tag.starts_with('!') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{name}> closes another element"),
            _ if tag.ends_with('/') || VOID.contains(&name) => elements += 1,
            _ => {
                elements += 1;
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    elements
}

/// Nothing on the page is looked for elsewhere.
fn self_contained(page: &str) {
    for word in ["http://", "https://", "<script", "<link", "<img", " src=", "@import", "url(", "<iframe", "<object"] {
        assert!(!page.contains(word), "the page holds {word}");
    }
    let links: Vec<&str> = page.split("href=\"").skip(1).map(|l| l.split('"').next().unwrap()).collect();
    assert!(links.len() >= SECTIONS.len() - 1 && links.iter().all(|l| l.starts_with('#')), "{links:?}");
}

#[test]
fn a_report_says_everything_and_fetches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "run", &["--val-split=0.2", "--best-on=test"]);
    let credit = dir.path().join("run/credit.jsonl");
    append(&credit, &(credit_line(1, 4) + &credit_line(2, 12)));
    let said = report(dir.path(), &["run", "--samples", "2"]);

    let page = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    let elements = balanced(&page);
    self_contained(&page);
    readable(&page);
    for id in SECTIONS {
        assert!(page.contains(&format!("id=\"{id}\"")), "no section {id}");
    }
    for words in
        ["validation", "4C3-MP4-20FC-10Voting", "bpsa+bpta, α 0.8", "best-on = &quot;test&quot;", "All 60 test samples", "u_th = 0.5"]
    {
        assert!(page.contains(words), "no '{words}'");
    }
    for words in ["chosen on the test set", "gradients grow across spikes in layer 1 (4C3)", "gradients grow back in time", "50 times"] {
        assert!(page.contains(words) && said.contains(words), "no warning '{words}' in {said}");
    }
    let figures = page.matches("<figure").count();
    assert_eq!(page.matches("<svg").count(), figures);
    assert_eq!(page.matches("role=\"img\"").count(), figures);
    let files: Vec<PathBuf> = fs::read_dir(dir.path().join("run/report")).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 2 * figures, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        if file.extension().is_some_and(|e| e == "svg") {
            assert!(balanced(&text) > 3 && text.contains("<title>"), "{}", file.display());
        } else {
            assert!(text.lines().count() > 1, "{}", file.display());
        }
    }
    println!("{figures} figures, {elements} elements, {} KB", page.len() / 1024);
    in_a_browser(&dir.path().join("run/report.html"), dir.path());
}

#[test]
fn runs_are_compared_on_one_page() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "a", &["--rule=stbp", "--credit-every=0"]);
    fs::create_dir(dir.path().join("other")).unwrap();
    train(dir.path(), "other/a", &["--rule=bpsa", "--credit-every=0"]);
    report(dir.path(), &["a", "other/a", "--html", "both.html", "--test-samples", "20"]);
    let page = fs::read_to_string(dir.path().join("both.html")).unwrap();
    balanced(&page);
    self_contained(&page);
    for words in ["other/a", "stbp", "bpsa", "20 of 60 test samples, evenly spread", "no credit lines", "no samples were held out"] {
        assert!(page.contains(words), "no '{words}'");
    }
    assert!(dir.path().join("both/accuracy.csv").exists() && !dir.path().join("a/report.html").exists());
    let csv = fs::read_to_string(dir.path().join("both/accuracy.csv")).unwrap();
    assert!(csv.starts_with("epoch,a,other/a\n1,") && csv.lines().count() == 3, "{csv}");
}

#[test]
fn a_run_that_is_still_written_to_is_shown_as_far_as_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "run", &[]);
    let metrics = dir.path().join("run/metrics.jsonl");
    append(&metrics, "{\"kind\":\"dream\",\"epoch\":2}\n{\"version\":2,\"epoch\":2,\"other\":1}\n{\"epoch\":3,\"st");
    for file in ["result.json", "last.ckpt"] {
        fs::remove_file(dir.path().join("run").join(file)).unwrap();
    }
    let said = report(dir.path(), &["run"]);
    for words in
        ["the last line of metrics.jsonl is cut off", "2 lines of metrics.jsonl are of a kind or version", "the run is not finished"]
    {
        assert!(said.contains(words), "no '{words}' in {said}");
    }
    // Without any checkpoint the rest is still there.
    let checkpoints = fs::read_dir(dir.path().join("run")).unwrap().map(|f| f.unwrap().path());
    checkpoints.filter(|p| p.extension().is_some_and(|e| e == "ckpt")).for_each(|p| fs::remove_file(p).unwrap());
    let said = report(dir.path(), &["run"]);
    assert!(said.contains("left out: ") && said.contains("there is no checkpoint in this folder"), "{said}");
    let page = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(page.contains("Left out: ") && page.contains("id=\"curves\""));
}

#[test]
fn bad_input_is_named_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    train(dir.path(), "run", &["--credit-every=0"]);
    report(dir.path(), &["run"]);
    let before = fs::read(at("run/report.html")).unwrap();
    let copy = |name: &str| {
        fs::create_dir(at(name)).unwrap();
        for file in ["config.toml", "metrics.jsonl", "result.json", "last.ckpt"] {
            fs::copy(at("run").join(file), at(name).join(file)).unwrap();
        }
    };
    for name in ["silent", "empty", "torn", "newer", "newer-config", "wrong-credit"] {
        copy(name);
    }
    fs::remove_file(at("silent/metrics.jsonl")).unwrap();
    fs::write(at("empty/metrics.jsonl"), "{\"epoch\":1,").unwrap();
    fs::write(at("torn/metrics.jsonl"), "{\"epoch\":1,\n{}\n").unwrap();
    fs::write(at("newer/metrics.jsonl"), "{\"version\":2,\"epoch\":1}\n").unwrap();
    append(&at("newer-config/config.toml"), "dreams = true\n");
    append(&at("wrong-credit/metrics.jsonl"), &credit_line(1, 1).replace("[50.0,10.0,3.0,1.0]", "[50.0]"));
    fs::create_dir_all(at("nothing")).unwrap();
    fs::write(at("file"), "x").unwrap();

    refused(dir.path(), &["nowhere"], &["nowhere: there is no such run folder"]);
    refused(dir.path(), &["file"], &["file: this is a file, not a run folder"]);
    refused(dir.path(), &["nothing"], &["nothing: there is no run in this folder"]);
    refused(dir.path(), &["silent"], &["silent: this run has no metrics.jsonl", "remedy"]);
    refused(dir.path(), &["empty"], &["empty: this run has not finished an epoch"]);
    refused(dir.path(), &["torn"], &["metrics.jsonl: line 1: not a JSON object"]);
    refused(dir.path(), &["newer"], &["newer: no line of metrics.jsonl is of a version that is known here"]);
    refused(dir.path(), &["newer-config"], &["newer-config/config.toml", "dreams", "newer version"]);
    refused(dir.path(), &["wrong-credit"], &["metrics.jsonl: line 3: a credit line needs"]);
    refused(dir.path(), &["run", "run"], &["given twice"]);
    refused(dir.path(), &["run", "nothing"], &["nothing: there is no run"]);
    refused(dir.path(), &["run", "--samples", "21"], &["choose 0 to 20"]);
    refused(dir.path(), &["run", "--html", "page.txt"], &["does not end in .html"]);
    refused(dir.path(), &["run", "--html", "nowhere/page.html"], &["there is no such folder"]);
    train(dir.path(), "motions", &["--dataset=motions"]);
    refused(dir.path(), &["run", "motions"], &["motions: this run tells 11 classes", "run has 10 classes"]);
    assert_eq!(fs::read(at("run/report.html")).unwrap(), before);
    report(dir.path(), &["motions", "--samples", "1"]);
    let page = fs::read_to_string(at("motions/report.html")).unwrap();
    assert!(page.contains("motions (simulated)"));
    readable(&page);
}

/// What stands between `from` and `to`, each time.
fn between<'a>(text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).map(move |rest| rest.split(to).next().unwrap())
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("'{text}' is no number"))
}

/// Pixels that a page leaves beside a picture on a phone of 390.
const PHONE: f64 = 390.0 - 32.0;

/// What every page promises to those who read it on paper, on a phone, in the dark, or do not see it.
fn readable(page: &str) {
    let css = between(page, "<style>", "</style>").next().unwrap();
    let (screen, print) = css.split_once("@media print").unwrap();
    for size in between(screen, "font-size: ", ";").chain(between(screen, "font: ", "/")) {
        let least = size.trim_start_matches("clamp(").split(',').next().unwrap();
        assert!(16.0 * number(least.trim_end_matches("rem")) >= 12.0, "text of {size}");
    }
    for rule in ["prefers-color-scheme: dark) { svg.values", ".table { overflow-x: auto", ".long { overflow-wrap: anywhere"] {
        assert!(screen.contains(rule), "no '{rule}' in the style");
    }
    for rule in ["h2::after, h3::after", "figure, .card, tr, .warnings { break-inside: avoid; }", "p + .table"] {
        assert!(print.contains(rule), "no '{rule}' for print");
    }
    // Every table may be wider than the page: it is scrolled, not cut.
    let boxed = page.matches("<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>").count();
    assert_eq!(boxed, page.matches("<table>").count());
    for cell in between(page, "<td", "</td>") {
        let (tag, text) = cell.split_once('>').unwrap();
        assert!(tag.contains("class=\"long\"") || text.split_whitespace().all(|w| w.len() < 40), "'{text}' pushes its table off the page");
    }
    let (mut pictures, mut values, mut axes) = (0, 0, 0);
    for figure in between(page, "<figure", "</figure>") {
        let title = between(figure, "<strong>", "</strong>").next().unwrap();
        let svg = between(figure, "<svg", "</svg>").next().unwrap();
        let (tag, inside) = svg.split_once('>').unwrap();
        assert!(tag.contains("role=\"img\"") && between(tag, "aria-label=\"", "\"").all(|l| l.len() > title.len() + 10), "{title}: {tag}");
        assert!(inside.starts_with("<title>") && inside.contains("</title><desc>"), "{title}: no summary");
        let wide = number(between(tag, "width=\"", "\"").next().unwrap());
        for size in between(inside, "font-size=\"", "\"") {
            assert!(number(size) * (PHONE / wide).min(1.0) >= 12.0, "{title}: text of {size} in a picture of {wide}");
        }
        let texts: Vec<&str> = between(inside, "<text", "</text>").map(|t| t.split_once('>').unwrap().1.trim()).collect();
        for text in &texts {
            assert!(!text.trim_start_matches('-').starts_with('.'), "{title}: '{text}' is cut off");
            let shares = ["accuracy", "firing rate", "share", "neurons that"].iter().any(|w| text.contains(w));
            assert!(!shares || text.contains("in %"), "{title}: no unit in '{text}'");
        }
        if title.starts_with("Membrane potentials") {
            let panels = texts.iter().filter(|t| t.starts_with("u of neuron ")).count();
            assert!(panels > 0 && figure.contains("u has no unit"), "{title}: {texts:?}");
        }
        axes += usize::from(texts.contains(&"epoch") || texts.contains(&"time step"));
        // The pictures that went in are what they show; of all others every value can be pointed at.
        let input = title.starts_with("Input of ") || title.starts_with("Frames of ");
        let hints = between(inside, "<title>", "</title>").count() - 1;
        assert!(input || hints > 1, "{title}: {hints} values under the pointer");
        values += hints;
        pictures += 1;
    }
    assert!(pictures > 5 && axes > 3, "{pictures} pictures, {axes} with an axis of time");
    for one in ["epochs", "seeds", "runs", "spikes", "neurons", "samples", "test samples", "input channels", "lines"] {
        assert!(![" ", ">", "("].iter().any(|before| page.contains(&format!("{before}1 {one}"))), "1 {one}");
    }
    let at = |id: &str| page.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    assert!(at("conclusion") < at("warnings") && at("warnings") < at("summary") && at("summary") < at("curves"));
    assert!(page.contains("Chance level: guessing among"));
    println!("{pictures} pictures, {values} values under the pointer, {boxed} tables");
}

/// The rows of the first table of a section.
fn rows(page: &str, section: &str) -> usize {
    let from = page.find(&format!("<section id=\"{section}\"")).unwrap();
    let section = page[from..].split("</section>").next().unwrap();
    between(section, "<tbody>", "</tbody>").next().map_or(0, |t| t.matches("<tr>").count())
}

#[test]
fn a_study_and_a_folder_of_runs_are_compared_readably() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--epochs=2", "-T=4", "--train-limit=80", "--test-limit=40", "--batch=16", "--net=4C3-MP4-20FC-10Voting"];
    let args = [
        ["study", "ablation", "--out=study", "--seeds=2", "--rules=bpsa,bpsa+bpta", "--credit-every=2", "--warm-up=ann:1"].as_slice(),
        &small,
    ]
    .concat();
    let (code, out, err) = spiketrain(dir.path(), &args);
    assert_eq!(code, 0, "{out}{err}");
    report(dir.path(), &["study", "--samples=1"]);
    let page = fs::read_to_string(dir.path().join("study/report.html")).unwrap();
    balanced(&page);
    self_contained(&page);
    readable(&page);
    for words in [
        "(2 seeds)",
        "standard deviation over seeds",
        "The runs differ in: rule.",
        "Shaded: ann warm-up, epoch 1.",
        "<th scope=\"row\">bpsa+bpta-s2</th>",
    ] {
        assert!(page.contains(words), "no '{words}'");
    }
    assert_eq!((rows(&page, "conclusion"), rows(&page, "energy")), (2, 4));

    // Runs of no study: nobody has measured their energy before.
    fs::create_dir(dir.path().join("runs")).unwrap();
    for (rule, more) in [("bpsa", "--augment=true"), ("bpsa+bpta", "--augment=false")] {
        train(dir.path(), &format!("runs/{rule}"), &[&format!("--rule={rule}"), more, "--credit-every=4", "--warm-up=tssl:1"]);
        assert!(!dir.path().join("runs").join(rule).join("cost.json").exists());
    }
    report(dir.path(), &["runs", "--samples=1"]);
    let page = fs::read_to_string(dir.path().join("runs/report.html")).unwrap();
    balanced(&page);
    readable(&page);
    for words in [
        "one seed only",
        "in the runs that augment, on augmented samples",
        "Shaded: tssl warm-up, epoch 1.",
        "The runs differ in: augment, rule.",
    ] {
        assert!(page.contains(words), "no '{words}'");
    }
    assert_eq!((rows(&page, "conclusion"), rows(&page, "energy")), (2, 2));
}

/// Loads the page in Chromium, where there is one: all of it is there, and the console stays silent.
fn in_a_browser(page: &Path, dir: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).flat_map(|p| ["chromium", "chromium-browser", "google-chrome"].map(|n| p.join(n)));
    let Some(browser) = places.find(|p| p.is_file()) else {
        println!("SKIPPED: no chromium on this machine to show the report");
        return;
    };
    // A page that does complain shows that complaints are seen.
    let loud = dir.join("loud.html");
    fs::write(&loud, "<script>console.error('a complaint')</script>").unwrap();
    let (_, complaints) = shown(&browser, &loud, &dir.join("profile-1"));
    assert!(complaints.contains("a complaint"), "the browser hides what its console says: {complaints}");
    let (dom, complaints) = shown(&browser, page, &dir.join("profile-2"));
    assert!(!complaints.contains("CONSOLE"), "{complaints}");
    for id in SECTIONS {
        assert!(dom.contains(&format!("id=\"{id}\"")), "no section {id} in the browser");
    }
    assert!(dom.contains("</footer>"));
    println!("shown by {}", browser.display());
}

/// The document as the browser has built it, and what it logged.
fn shown(browser: &Path, page: &Path, profile: &Path) -> (String, String) {
    fs::create_dir(profile).unwrap();
    let (out, err) = (profile.join("out"), profile.join("err"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("the browser did not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    (fs::read_to_string(out).unwrap(), String::from_utf8_lossy(&fs::read(err).unwrap()).into_owned())
}

//! `spiketrain data inspect`: what is in an event recording, in words, as JSON, and as pictures.

use std::path::Path;

use serde::Serialize;

use super::args::InspectArgs;
use super::{print, say};
use crate::error::{Error, Result};
use crate::events::picture::Pictures;
use crate::events::summary::{Summary, over_time};
use crate::events::{self, Event, Recording, Sensor, npz, order};
use crate::frames::{Quality, SplitBy, counts};
use crate::limits::{MAX_DRAWN_PIXELS, MAX_SIDE};
use crate::plural::{grouped, thousands};
use crate::storage::{Disk, write_atomically};

/// Shorter recordings are samples of a test, not of a camera: their gaps mean nothing. µs.
const LONG: u64 = 10_000;

/// Windows of the rate over time.
const WINDOWS: usize = 40;

/// Runs the command.
pub fn run(a: &InspectArgs) -> Result<()> {
    // Wrong endings are told before a long file is read.
    let svg = a.picture.as_deref().map(|p| ending(p, "picture", &["png", "svg"])).transpose()? == Some("svg");
    a.animation.as_deref().map(|p| ending(p, "animation", &["gif"])).transpose()?;
    let bytes = events::bytes_of(&a.file)?;
    if npz::holds_frames(&bytes) {
        return ready_frames(a, &npz::read_frames(&bytes, &a.file.display().to_string())?, svg);
    }
    let mut recording = events::read(&bytes, &a.file.display().to_string())?;
    if a.sort {
        recording.notes.extend(order::sort(&mut recording.events));
    }
    let summary = Summary::of(&recording.events);
    let sensor = a.size.or(recording.sensor);
    let out_of_range = sensor.map(|s| Quality::of(&recording.events, s).out_of_range);
    if a.json {
        let report = Report::new(&recording, &summary, sensor, out_of_range);
        print(serde_json::to_string(&report).map_err(|e| Error::bug(format!("JSON: {e}")))?);
    } else {
        print(format!("{}: {}", a.file.display(), in_words(&recording, &summary, sensor, out_of_range)));
    }
    if let Some(path) = &a.picture {
        let pictures = pictures(&recording.events, &summary, sensor, a.frames.unwrap_or(1), a.split_by)?.sheet();
        let bytes = if svg { pictures.svg().into_bytes() } else { pictures.png()? };
        save(path, &bytes)?;
    }
    if let Some(path) = &a.animation {
        save(path, &pictures(&recording.events, &summary, sensor, a.frames.unwrap_or(16), a.split_by)?.gif()?)?;
    }
    Ok(())
}

/// The same of an .npz of frames, whose events have no times.
fn ready_frames(a: &InspectArgs, frames: &npz::Frames, svg: bool) -> Result<()> {
    let sensor = frames.sensor();
    if let Some(size) = a.size.filter(|size| *size != sensor) {
        let what = format!("the frames are {}x{}, not {}x{}", sensor.width, sensor.height, size.width, size.height);
        return Err(Error::usage(what).at(a.file.display()).option("size").remedy("leave it out"));
    }
    let half = frames.height * frames.width;
    let sum = |counts: &[u16]| counts.iter().map(|&c| u64::from(c)).sum::<u64>();
    let per_frame: Vec<u64> = frames.counts.chunks(2 * half).map(sum).collect();
    let on: u64 = frames.counts.chunks(half).skip(1).step_by(2).map(sum).sum();
    if a.json {
        let (width, height, events) = (sensor.width, sensor.height, frames.events());
        print(
            serde_json::json!({"format": "npz-frames", "width": width, "height": height, "steps": frames.steps, "events": events, "on": on,
            "events_per_frame": per_frame}),
        );
    } else {
        let count = |n: u64| thousands(n as usize);
        print(format!("{}: numpy array frames (SpikingJelly's format): events that were cut into frames before", a.file.display()));
        print(format!("  sensor      {}x{}", sensor.width, sensor.height));
        print(format!("  frames      T = {}", frames.steps));
        print(format!("  events      {}: {} ON, {} OFF", count(frames.events()), count(on), count(frames.events() - on)));
        print(format!("  per frame   {}", per_frame.iter().map(|&n| count(n)).collect::<Vec<_>>().join(", ")));
    }
    let pictures =
        |most: Option<usize>| Pictures::of(&frames.clone().at(most.unwrap_or(frames.steps)).map_err(|e| e.option("frames"))?, sensor);
    if let Some(path) = &a.picture {
        let sheet = pictures(Some(a.frames.unwrap_or(1)))?.sheet();
        save(path, &if svg { sheet.svg().into_bytes() } else { sheet.png()? })?;
    }
    a.animation.as_ref().map_or(Ok(()), |path| save(path, &pictures(a.frames)?.gif()?))
}

/// The ending of a file's name, if it is one of `known`.
fn ending<'k>(path: &Path, option: &str, known: &[&'k str]) -> Result<&'k str> {
    let found = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    known.iter().copied().find(|k| *k == found).ok_or_else(|| {
        let what = format!("expected a name that ends in .{}, found {}", known.join(" or ."), path.display());
        Error::usage(what).option(option).remedy(format!("write e.g. recording.{}", known[0]))
    })
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(&Disk, path, |draft| draft.put(bytes))?;
    say(format!("written: {}", path.display()));
    Ok(())
}

/// Frames on the sensor, or, where none is known, on the pixels up to the last one with an event.
fn pictures(events: &[Event], summary: &Summary, sensor: Option<Sensor>, frames: usize, by: SplitBy) -> Result<Pictures> {
    let fitting = Sensor { width: summary.max_x.saturating_add(1), height: summary.max_y.saturating_add(1) };
    let sensor = sensor.unwrap_or(fitting);
    let pixels = usize::from(sensor.width) * usize::from(sensor.height) * frames;
    if pixels > MAX_DRAWN_PIXELS || usize::from(sensor.width.max(sensor.height)) > MAX_SIDE {
        let what = format!("{frames} frames of {}x{} pixels, more than can be drawn", sensor.width, sensor.height);
        return Err(Error::usage(what).remedy("choose fewer frames, or give the size of the camera: --size WxH"));
    }
    Pictures::of(&counts(events, sensor, frames, by).0, sensor)
}

/// The keys of `--json`; an event is [t, x, y, p].
#[derive(Serialize)]
struct Report {
    format: &'static str,
    width: Option<u16>,
    height: Option<u16>,
    events: u64,
    on: u64,
    t_first: Option<u64>,
    t_last: Option<u64>,
    monotonic: bool,
    out_of_range: Option<u64>,
    invalid: u64,
    sum_x: u64,
    sum_y: u64,
    first3: Vec<[u64; 4]>,
    last: Option<[u64; 4]>,
    /// The fewest events whose removal leaves the others in order.
    misplaced: u64,
    /// In µs.
    longest_gap: u64,
    notes: Vec<String>,
}

impl Report {
    fn new(r: &Recording, s: &Summary, sensor: Option<Sensor>, out_of_range: Option<u64>) -> Self {
        let txyp = |e: &Event| [e.t, e.x.into(), e.y.into(), e.on.into()];
        Report {
            format: r.format.name,
            width: sensor.map(|s| s.width),
            height: sensor.map(|s| s.height),
            events: s.events,
            on: s.on,
            t_first: r.events.first().map(|e| e.t),
            t_last: r.events.last().map(|e| e.t),
            monotonic: s.misplaced == 0,
            out_of_range,
            invalid: r.invalid,
            sum_x: s.sum_x,
            sum_y: s.sum_y,
            first3: r.events.iter().take(3).map(txyp).collect(),
            last: r.events.last().map(txyp),
            misplaced: s.misplaced,
            longest_gap: s.longest_gap,
            notes: r.notes.clone(),
        }
    }
}

fn in_words(r: &Recording, s: &Summary, sensor: Option<Sensor>, out_of_range: Option<u64>) -> String {
    let count = |n: u64| thousands(n as usize);
    let mut lines = vec![r.format.title.to_string()];
    let sensor = sensor.map_or("not said by the format; --size WxH checks against one".into(), |s| format!("{}x{}", s.width, s.height));
    lines.push(format!("sensor      {sensor}"));
    if s.events == 0 {
        lines.push("events      none".into());
    } else {
        let (on, off) = (s.on, s.events - s.on);
        let share = 100.0 * on as f64 / s.events as f64;
        lines.push(format!("events      {}: {} ON ({share:.1} %), {} OFF", count(s.events), count(on), count(off)));
        let seconds = (s.latest - s.earliest) as f64 / 1e6;
        let rate = if seconds > 0.0 { format!(", {} events/s", count((s.events as f64 / seconds) as u64)) } else { String::new() };
        lines.push(format!("time        {} to {} µs: {seconds:.3} s{rate}", count(s.earliest), count(s.latest)));
        let windows = over_time(&r.events, s, WINDOWS);
        lines.push(rate_line(&windows, s));
        lines.push(gap_line(&windows, s));
        let mean = |sum: u64| sum as f64 / s.events as f64;
        let (x, y) = (mean(s.sum_x), mean(s.sum_y));
        lines.push(format!("place       x up to {} (mean {x:.1}), y up to {} (mean {y:.1})", s.max_x, s.max_y));
    }
    let outside = out_of_range.map_or(String::new(), |n| format!("{} out of range, ", count(n)));
    lines.push(format!("bad         {outside}{} out of order, {} marked invalid by the file", count(s.misplaced), count(r.invalid)));
    if (Quality { events: s.events, misplaced: s.misplaced, ..Quality::default() }).is_disordered() {
        lines.push("warning: more events are out of order than training accepts (1 %): --sort puts them in order".into());
    }
    lines.extend(r.notes.iter().map(|n| format!("note: {n}")));
    lines.join("\n  ")
}

/// Events in equal windows of time as a row of bars.
fn rate_line(windows: &[u64], s: &Summary) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = windows.iter().copied().max().unwrap_or(0).max(1);
    let bars: String = windows.iter().map(|&n| if n == 0 { ' ' } else { BARS[(n * 7).div_ceil(most) as usize] }).collect();
    let each = (s.latest - s.earliest) as f64 / 1e3 / WINDOWS as f64;
    format!("rate        |{bars}| {WINDOWS} windows of {each:.1} ms, {} at most", grouped(most as usize, "event"))
}

/// Time without events.
fn gap_line(windows: &[u64], s: &Summary) -> String {
    let (empty, duration) = (windows.iter().filter(|&&n| n == 0).count(), s.latest - s.earliest);
    let share = s.longest_gap as f64 / duration.max(1) as f64;
    let line = format!(
        "gap         {:.3} s at most without an event ({:.1} % of the recording), {empty} of {WINDOWS} windows are empty",
        s.longest_gap as f64 / 1e6,
        100.0 * share
    );
    if share < 0.5 || duration < LONG {
        return line;
    }
    line + "\n  warning: nothing happens for half of the recording or more: are all times of one clock? Cut by time, most frames are empty"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{aedat2, nmnist};

    fn events() -> Vec<Event> {
        [(5, 1, 2, true), (9, 30, 2, false), (7, 1, 40, true), (2005, 1, 2, true)].map(|(t, x, y, on)| Event { t, x, y, on }).to_vec()
    }

    fn args(file: &Path) -> InspectArgs {
        let [file, picture, animation] = ["", "png", "gif"].map(|e| if e.is_empty() { file.to_owned() } else { file.with_extension(e) });
        let (picture, animation) = (Some(picture), Some(animation));
        InspectArgs { file, json: false, size: None, picture, animation, frames: None, split_by: SplitBy::Number, sort: false }
    }

    fn report(bytes: &[u8], name: &str, size: Option<Sensor>) -> (String, String) {
        let r = events::read(bytes, name).unwrap();
        let s = Summary::of(&r.events);
        let sensor = size.or(r.sensor);
        let outside = sensor.map(|s| Quality::of(&r.events, s).out_of_range);
        (serde_json::to_string(&Report::new(&r, &s, sensor, outside)).unwrap(), in_words(&r, &s, sensor, outside))
    }

    #[test]
    fn the_keys_of_json_are_those_that_are_promised() {
        let (json, words) = report(&nmnist::write(&events()).unwrap(), "a.bin", None);
        assert_eq!(
            json,
            "{\"format\":\"nmnist\",\"width\":null,\"height\":null,\"events\":4,\"on\":3,\"t_first\":5,\"t_last\":2005,\"monotonic\":false,\
             \"out_of_range\":null,\"invalid\":0,\"sum_x\":33,\"sum_y\":46,\"first3\":[[5,1,2,1],[9,30,2,0],[7,1,40,1]],\"last\":[2005,1,2,1],\
             \"misplaced\":1,\"longest_gap\":1996,\"notes\":[]}"
        );
        for part in ["4: 3 ON (75.0 %), 1 OFF", "5 to 2,005 µs: 0.002 s, 2,000 events/s", "x up to 30 (mean 8.2)", " 1 out of order"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let size = Some(Sensor { width: 34, height: 34 });
        let (json, words) = report(&nmnist::write(&events()).unwrap(), "a.bin", size);
        assert!(json.contains("\"width\":34,\"height\":34,") && json.contains("\"out_of_range\":1,"), "{json}");
        assert!(words.contains("1 out of range"), "{words}");
        let (json, words) = report(&aedat2::write(&[]).unwrap(), "a.aedat", None);
        assert!(json.contains("\"width\":128,") && json.contains("\"t_first\":null,\"t_last\":null,\"monotonic\":true,\"out_of_range\":0"));
        assert!(json.ends_with("\"first3\":[],\"last\":null,\"misplaced\":0,\"longest_gap\":0,\"notes\":[]}"), "{json}");
        assert!(words.contains("events      none"), "{words}");
    }

    #[test]
    fn pictures_are_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.bin");
        std::fs::write(&file, nmnist::write(&events()).unwrap()).unwrap();
        run(&args(&file)).unwrap();
        let image = image::open(file.with_extension("png")).unwrap();
        // No sensor is known: 31 columns and 41 rows have events.
        assert_eq!((image.width(), image.height()), (31 * 8, 41 * 8));
        assert!(std::fs::read(file.with_extension("gif")).unwrap().starts_with(b"GIF89a"));
        let mut sheet = args(&file);
        (sheet.frames, sheet.picture) = (Some(4), Some(file.with_extension("svg")));
        run(&sheet).unwrap();
        assert!(std::fs::read_to_string(file.with_extension("svg")).unwrap().contains("viewBox=\"0 0 63 83\""));
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names(), 4);
        let empty = dir.path().join("b.aedat");
        std::fs::write(&empty, aedat2::write(&[]).unwrap()).unwrap();
        assert!(run(&args(&empty)).unwrap_err().to_string().contains("no event to show"));
        assert_eq!(names(), 5);
    }

    #[test]
    fn wrong_endings_and_frames_too_large_are_refused() {
        let wrong = ending(Path::new("a.jpg"), "picture", &["png", "svg"]).unwrap_err().to_string();
        assert!(wrong.starts_with("--picture: ") && wrong.contains(".png or .svg, found a.jpg"), "{wrong}");
        assert_eq!(ending(Path::new("a.PNG"), "picture", &["png", "svg"]).unwrap(), "png");
        let far = [Event { t: 0, x: 32767, y: 0, on: true }];
        let e = pictures(&far, &Summary::of(&far), None, 1, SplitBy::Number).err().unwrap().to_string();
        assert!(e.contains("32768x1 pixels") && e.contains("--size WxH"), "{e}");
        let large = Some(Sensor { width: 2048, height: 2048 });
        assert!(pictures(&far, &Summary::of(&far), large, 64, SplitBy::Time).is_err());
    }
}

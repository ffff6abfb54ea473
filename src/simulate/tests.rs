use super::*;
use crate::data::{DatasetName, LoadOptions, load};

#[test]
fn zz_stats() {
    let kind = if std::env::var("K").as_deref() == Ok("d") { Kind::DvsCifar10 } else { Kind::NMnist };
    let name = if kind == Kind::NMnist { DatasetName::Mnist } else { DatasetName::Cifar10 };
    let dir = std::env::var("D").unwrap();
    let set = load(name, &LoadOptions { data_dir: Some(dir.into()), allow_partial: true, ..Default::default() }).unwrap();
    let mut manner = kind.manner();
    let f = |n: &str, d: f32| std::env::var(n).map(|v| v.parse().unwrap()).unwrap_or(d);
    manner.camera.on = f("ON", manner.camera.on);
    manner.camera.off = manner.camera.on;
    manner.camera.mismatch = f("MIS", manner.camera.mismatch);
    manner.camera.refractory = f("REF", manner.camera.refractory as f32) as u32;
    manner.camera.step = f("STEP", manner.camera.step as f32) as u32;
    manner.contrast = f("CON", manner.contrast);
    manner.blur = f("BLUR", manner.blur);
    let studio = Studio::new(manner, 1).unwrap();
    let n = f("N", 1000.0) as usize;
    let s = set.shape;
    let t0 = std::time::Instant::now();
    let recs: Vec<Vec<Event>> =
        (0..n).map(|i| studio.record(&set.train.pixels[i * s.len()..][..s.len()], (s.h, s.w), 0, i as u64).unwrap()).collect();
    println!("{:.3} ms per recording", t0.elapsed().as_secs_f64() * 1e3 / n as f64);
    let c: Vec<f64> = recs.iter().map(|r| r.len() as f64).collect();
    let mean = c.iter().sum::<f64>() / n as f64;
    let sd = (c.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
    println!(
        "mean {mean} sd {sd} min {:?} max {:?}",
        c.iter().cloned().fold(f64::INFINITY, f64::min),
        c.iter().cloned().fold(0.0, f64::max)
    );
    let bins = 62;
    let total = manner.path.duration();
    let mut prof = vec![0usize; bins];
    let mut isi = vec![];
    let mut active = 0;
    let mut sxy = vec![(0.0, 0.0); bins];
    let mut hist = std::collections::BTreeMap::new();
    for r in &recs {
        let mut last = std::collections::HashMap::new();
        let mut per = std::collections::HashMap::new();
        for e in r {
            let b = (e.t as usize * 31 / total as usize).min(bins - 1);
            prof[b] += 1;
            sxy[b].0 += e.x as f64;
            sxy[b].1 += e.y as f64;
            if let Some(l) = last.insert((e.x, e.y), e.t) {
                isi.push(e.t - l);
            }
            *per.entry((e.x, e.y, e.on, e.t / 105_000)).or_insert(0usize) += 1;
        }
        active += last.len();
        per.values().for_each(|v| *hist.entry(*v).or_insert(0usize) += 1);
    }
    println!("{:?}", prof.iter().take(31).map(|v| v / n).collect::<Vec<_>>());
    println!("{:?}", (0..31).map(|b| format!("{:.1},{:.1}", sxy[b].0 / prof[b] as f64, sxy[b].1 / prof[b] as f64)).collect::<Vec<_>>());
    isi.sort();
    println!("isi {:?}", [0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95].map(|q| isi[(isi.len() as f64 * q) as usize]));
    println!("active {} ", active / n);
    let tot: usize = hist.values().sum();
    println!("{:?}", hist.iter().take(12).map(|(k, v)| (*k, (*v as f64 / tot as f64 * 1000.0).round() / 1000.0)).collect::<Vec<_>>());
    if let Ok(path) = std::env::var("PNG") {
        let (w, h) = (manner.camera.sensor.width as usize, manner.camera.sensor.height as usize);
        let scale = if w > 100 { 2 } else { 4 };
        let (frames, rows) = (8, 6);
        let img = image::RgbImage::from_fn((frames * w * scale) as u32, (rows * h * scale) as u32, |_, _| image::Rgb([128, 128, 128]));
        let mut img = img;
        for r in 0..rows {
            for e in &recs[r] {
                let f = (e.t as usize * frames / total as usize).min(frames - 1);
                for dy in 0..scale {
                    for dx in 0..scale {
                        let p =
                            img.get_pixel_mut(((f * w + e.x as usize) * scale + dx) as u32, ((r * h + e.y as usize) * scale + dy) as u32);
                        let d = if e.on { 40i32 } else { -40 };
                        p.0 = p.0.map(|v| (v as i32 + d).clamp(0, 255) as u8);
                    }
                }
            }
        }
        img.save(path).unwrap();
    }
}

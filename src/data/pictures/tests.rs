use super::*;
use crate::data::load;
use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};

fn rgb(path: &Path, h: u32, w: u32, color: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(w, h, Rgb(color)).save(path).unwrap();
}

fn options(dir: &Path) -> LoadOptions {
    LoadOptions { images_dir: Some(dir.into()), ..Default::default() }
}

fn error(options: &LoadOptions) -> String {
    let e = load(sets::IMAGES, options).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    e.to_string()
}

#[test]
fn pictures_become_planes_of_the_wanted_shape() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    RgbImage::from_fn(3, 2, |x, y| Rgb([10 * x as u8, 100 + y as u8, 200])).save(&path).unwrap();
    let Picture { pixels: bytes, resized_from: resized, .. } = load_picture(&path, Chw::new(3, 2, 3)).unwrap();
    assert_eq!(bytes, [0, 10, 20, 0, 10, 20, 100, 100, 100, 101, 101, 101, 200, 200, 200, 200, 200, 200]);
    assert_eq!(resized, None);
    let Picture { pixels: bytes, resized_from: resized, .. } = load_picture(&path, Chw::new(1, 5, 4)).unwrap();
    assert_eq!((bytes.len(), resized), (20, Some((2, 3))));
    GrayImage::from_fn(2, 2, |x, y| Luma([(x + 2 * y) as u8 * 50])).save(&path).unwrap();
    assert_eq!(load_picture(&path, Chw::new(1, 2, 2)).unwrap().pixels, [0, 50, 100, 150]);
    assert_eq!(load_picture(&path, Chw::new(3, 2, 2)).unwrap().pixels, [0, 50, 100, 150].repeat(3));
    RgbaImage::from_pixel(1, 1, image::Rgba([1, 2, 3, 4])).save(&path).unwrap();
    assert_eq!(load_picture(&path, Chw::new(3, 1, 1)).unwrap().pixels, [1, 2, 3]);
    assert_eq!(load_picture(&path, Chw::new(2, 1, 1)).err().unwrap().exit_code(), 2);
}

#[test]
fn a_folder_per_class_is_split_by_class_and_seed() {
    let dir = tempfile::tempdir().unwrap();
    for (class, n, color) in [("b-dog", 10, [9, 9, 9]), ("a-cat", 5, [200, 100, 0])] {
        (0..n).for_each(|i| rgb(&dir.path().join(class).join(format!("{i}.png")), 4, 6, [color[0], color[1], i]));
    }
    rgb(&dir.path().join("b-dog/x.JPG"), 4, 6, [0, 0, 0]);
    fs::write(dir.path().join("b-dog/notes.txt"), "x").unwrap();
    fs::write(dir.path().join(".hidden"), "x").unwrap();
    let set = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert_eq!((set.shape, &set.classes[..]), (Chw::new(3, 4, 6), &["a-cat".to_string(), "b-dog".to_string()][..]));
    assert_eq!((set.train.len(), set.test.len()), (4 + 9, 1 + 2));
    assert_eq!(set.train.labels, [0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(set.train.pixels[0], 200);
    assert_eq!(set.notes.len(), 1);
    let again = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert_eq!(again.fingerprint, set.fingerprint);
    let seeds = (1..6).map(|seed| load(sets::IMAGES, &LoadOptions { seed, ..options(dir.path()) }).unwrap().fingerprint);
    assert!(seeds.into_iter().any(|f| f != set.fingerprint));
    let grey = LoadOptions { grey: true, size: Some((3, 5)), ..options(dir.path()) };
    let grey = load(sets::IMAGES, &grey).unwrap();
    assert_eq!(grey.shape, Chw::new(1, 3, 5));
    assert!(grey.notes[1].contains("16 of 16 pictures resized to 3x5"), "{:?}", grey.notes);
}

#[test]
fn train_and_test_folders_are_taken_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["train/a/1.png", "train/b/1.png", "train/b/2.png", "test/a/1.png"] {
        rgb(&dir.path().join(path), 2, 2, [1, 2, 3]);
    }
    let set = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert_eq!((&set.train.labels[..], &set.test.labels[..]), (&[0, 1, 1][..], &[0][..]));
    rgb(&dir.path().join("test/c/1.png"), 2, 2, [1, 2, 3]);
    assert!(error(&options(dir.path())).contains("'c'"));
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    assert!(error(&options(dir.path())).contains("no folder 'test'"));
}

/// A JPEG of 4x2 pixels, left half black, with the EXIF orientation `tag`.
fn jpeg(path: &Path, tag: u8) {
    let picture = GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 0 } else { 255 }]));
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100).encode_image(&picture).unwrap();
    // APP1: "Exif", big-endian TIFF, one entry: orientation, SHORT, 1 value.
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, tag, 0, 0];
    let tiff = [&b"MM\0*\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat();
    let exif = [&b"Exif\0\0"[..], &tiff].concat();
    let segment = [&[0xff, 0xe1, 0, 2 + exif.len() as u8][..], &exif].concat();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, [&bytes[..2], &segment, &bytes[2..]].concat()).unwrap();
}

#[test]
fn pictures_are_turned_as_they_are_seen_and_transparency_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jpg");
    let shape = Chw::new(1, 8, 16);
    let stored = |tag| {
        jpeg(&path, tag);
        load_picture(&path, shape).unwrap()
    };
    let left_is_dark = |p: &Picture| p.pixels[0] < 20 && p.pixels[15] > 235;
    let (as_stored, upside_down) = (stored(1), stored(3));
    assert!(left_is_dark(&as_stored) && !as_stored.turned);
    assert!(!left_is_dark(&upside_down) && upside_down.turned);
    let on_its_side = stored(6);
    assert_eq!((on_its_side.resized_from, dimensions(&path).unwrap()), (Some((16, 8)), (16, 8)));
    let set = dir.path().join("set");
    for i in 0..3 {
        jpeg(&set.join(format!("a/{i}.jpg")), if i == 0 { 3 } else { 1 });
        fs::create_dir_all(set.join("b")).unwrap();
        RgbaImage::from_pixel(16, 8, image::Rgba([1, 2, i, 200 + 55 * u8::from(i == 0)])).save(set.join(format!("b/{i}.png"))).unwrap();
    }
    let notes = load(sets::IMAGES, &options(&set)).unwrap().notes.join("\n");
    assert!(notes.contains("1 of 6 pictures turned as their EXIF") && notes.contains("2 of 6 pictures have transparent"), "{notes}");
}

#[test]
fn folders_that_would_mislead_are_said() {
    let dir = tempfile::tempdir().unwrap();
    for (i, path) in
        ["Train/a/1.png", "Train/b/anna/1.png", "Train/b/2.png", "TEST/a/1.png", "TEST/a/2.png", "more/a/9.png"].iter().enumerate()
    {
        rgb(&dir.path().join(path), 2, 2, [i as u8, 2, 3]);
    }
    fs::copy(dir.path().join("Train/a/1.png"), dir.path().join("TEST/a/1.png")).unwrap();
    let set = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.classes.len()), (3, 2, 2));
    let said = set.notes.join("\n");
    for part in
        ["not used: more;", "1 file lies in a folder below", "no test samples of 1 of 2 classes: b", "warning: 1 of 2 test files is also"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let bmp = dir.path().join("x.png");
    fs::write(&bmp, b"BM\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    let e = load_picture(&bmp, Chw::new(1, 2, 2)).err().unwrap().to_string();
    assert!(e.contains("found BMP") && e.contains("convert it"), "{e}");
}

#[test]
fn a_folder_for_validation_is_a_split_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for (i, path) in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "Validation/a/1.png", "Validation/b/1.png", "Validation/b/2.png"]
        .iter()
        .enumerate()
    {
        rgb(&dir.path().join(path), 2, 2, [i as u8, 2, 3]);
    }
    let set = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert_eq!((set.train.len(), set.test.len(), &set.validation.labels[..]), (2, 1, &[0, 1, 1][..]));
    assert_eq!([3, 4, 5].map(|i| set.validation.pixels[12 * (i - 3)]), [3, 4, 5]);
    let said = set.notes.join("\n");
    assert!(said.contains("validation: the 3 samples in Validation") && !said.contains("not used"), "{said}");
    rgb(&dir.path().join("Validation/c/1.png"), 2, 2, [9, 2, 3]);
    assert!(error(&options(dir.path())).contains("'c' is in the validation folder but not"));
    fs::rename(dir.path().join("Validation"), dir.path().join("other")).unwrap();
    let without = load(sets::IMAGES, &options(dir.path())).unwrap();
    assert!(without.validation.is_empty() && without.fingerprint == set.fingerprint, "runs that did not choose by them go on");
}

#[test]
fn bad_folders_and_files_are_named() {
    assert!(error(&LoadOptions::default()).contains("needs a folder"));
    let dir = tempfile::tempdir().unwrap();
    let none = load(sets::IMAGES, &options(&dir.path().join("none"))).unwrap_err();
    assert!(none.to_string().contains("none"));
    for i in 0..5 {
        rgb(&dir.path().join(format!("a/{i}.png")), 4, 4, [1, 2, 3]);
    }
    assert!(error(&options(dir.path())).contains("2 to 10000 classes, found 1"));
    fs::create_dir(dir.path().join("b")).unwrap();
    assert!(error(&options(dir.path())).contains("no PNG or JPEG"));
    rgb(&dir.path().join("b/0.png"), 4, 5, [1, 2, 3]);
    let text = error(&options(dir.path()));
    assert!(text.contains("4x5") && text.contains("4x4") && text.contains("--size"), "{text}");
    let sized = LoadOptions { size: Some((4, 4)), ..options(dir.path()) };
    assert_eq!(load(sets::IMAGES, &sized).unwrap().train.len(), 5);
    let zero = LoadOptions { size: Some((0, 4)), ..options(dir.path()) };
    assert!(error(&zero).contains("3x0x4"));
    let good = fs::read(dir.path().join("a/0.png")).unwrap();
    for bad in [&b""[..], b"not a picture", &good[..good.len() / 2]] {
        fs::write(dir.path().join("b/0.png"), bad).unwrap();
        assert!(error(&sized).contains("b/0.png: expected a PNG or JPEG"), "{}", error(&sized));
    }
}

#[test]
fn a_header_of_a_giant_picture_is_refused_before_memory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("giant.png");
    rgb(&path, 2, 2, [1, 2, 3]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let e = load_picture(&path, Chw::new(3, 2, 2)).err().unwrap();
    assert!(e.exit_code() == 2 && e.to_string().contains("giant.png"), "{e}");
}

//! The user's own pictures: a folder per class, PNG and JPEG.
//!
//! `DIR/train/<class>/` and `DIR/test/<class>/` if both are there; else `DIR/<class>/`, of which a seeded fifth of every class
//! becomes the test set. Pictures in folders below a class folder belong to the class. Classes and files are taken in the order of their names. The samples of a split stand in rounds, first
//! picture of every class, then the second of every class…, so that a limit on their number keeps all classes.

use std::fs;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, imageops::FilterType};
use rayon::prelude::*;

use super::own::{self, Content};
use super::{ImageSet, LoadOptions, Samples, sets};
use crate::error::{Error, Result};
use crate::limits;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

/// One in so many pictures of a class is for the test, where there is no folder for it.
const TEST_SHARE: usize = 5;

/// Folders below a class folder that are looked into: deeper ones belong to something else, or lead in a circle.
const DEPTH: usize = 3;

/// A picture as a network reads it.
pub struct Picture {
    /// `[C,H,W]`
    pub pixels: Vec<u8>,
    /// Its own (height, width), if it had to be resized.
    pub resized_from: Option<(usize, usize)>,
    /// Turned or mirrored as its EXIF orientation says.
    pub turned: bool,
    /// Some of its pixels are transparent: their colours were taken as stored.
    pub transparent: bool,
}

/// Reads one picture as `[C,H,W]` bytes of `shape`, for a net of one (grey) or three (colour) input channels.
///
/// It is turned as its EXIF orientation says, then the whole picture is squeezed or stretched, nothing is cut off; transparency is dropped.
///
/// # Errors
/// Usage when a net of that many channels reads no pictures; Storage when the file cannot be read; Format when it is no readable PNG or JPEG.
pub fn load_picture(path: &Path, shape: Chw) -> Result<Picture> {
    if shape.c != 1 && shape.c != 3 {
        let what = format!("a network of {} input channels reads no pictures", shape.c);
        return Err(Error::usage(what).at(path.display()).remedy("pictures have 1 (grey) or 3 (colour) channels"));
    }
    let (picture, turned) = decode(path)?;
    let transparent = is_transparent(&picture);
    let own = (picture.height() as usize, picture.width() as usize);
    let resized = own != (shape.h, shape.w);
    let picture = if resized { picture.resize_exact(shape.w as u32, shape.h as u32, FilterType::Triangle) } else { picture };
    let pixels = match shape.c {
        1 => picture.into_luma8().into_raw(),
        _ => {
            let interleaved = picture.into_rgb8().into_raw();
            (0..3).flat_map(|c| interleaved[c..].iter().step_by(3)).copied().collect()
        }
    };
    Ok(Picture { pixels, resized_from: resized.then_some(own), turned, transparent })
}

/// Whether any pixel is not opaque.
fn is_transparent(picture: &DynamicImage) -> bool {
    picture.color().has_alpha() && picture.to_rgba8().pixels().any(|p| p.0[3] < 255)
}

/// Opens a picture and checks its sides; the pixels are not decoded yet.
fn decoder(path: &Path) -> Result<impl ImageDecoder> {
    let reader = ImageReader::open(path).and_then(|r| r.with_guessed_format()).map_err(|e| Error::io(path, "reading", &e))?;
    let mut reader = reader;
    let other = reader.format().filter(|f| !matches!(f, ImageFormat::Png | ImageFormat::Jpeg));
    if let Some(other) = other {
        let name = other.extensions_str().first().unwrap_or(&"another format").to_ascii_uppercase();
        let what = format!("expected a PNG or JPEG picture, found {name}");
        return Err(Error::format(what).at(path.display()).remedy("convert it to PNG or JPEG"));
    }
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits::MAX_IMAGE_BYTES);
    reader.limits(bounds);
    let decoder = reader.into_decoder().map_err(|e| unreadable(path, &e))?;
    if decoder.total_bytes() > limits::MAX_IMAGE_BYTES {
        let (w, h) = decoder.dimensions();
        let what = format!("expected {} bytes of pixels at most, found {w}x{h} pixels", limits::MAX_IMAGE_BYTES);
        return Err(Error::format(what).at(path.display()).remedy("make the picture smaller"));
    }
    Ok(decoder)
}

/// How a picture has to be turned. One that cannot be read says nothing about it: it is the pixels that must be readable.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// The picture, turned as its EXIF orientation says, and whether it was.
fn decode(path: &Path) -> Result<(DynamicImage, bool)> {
    let mut decoder = decoder(path)?;
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| unreadable(path, &e))?;
    picture.apply_orientation(orientation);
    Ok((picture, orientation != Orientation::NoTransforms))
}

/// Height and width from the header, as the picture is seen.
fn dimensions(path: &Path) -> Result<(usize, usize)> {
    let mut decoder = decoder(path)?;
    let (w, h) = decoder.dimensions();
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let on_its_side = matches!(orientation(&mut decoder), Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
    let (h, w) = if on_its_side { (w, h) } else { (h, w) };
    Ok((h as usize, w as usize))
}

fn unreadable(path: &Path, e: &image::ImageError) -> Error {
    Error::format(format!("expected a PNG or JPEG picture, found: {e}")).at(path.display()).remedy("repair or remove this file")
}

/// The pictures of one class.
struct Class {
    name: String,
    files: Vec<PathBuf>,
}

/// Loads the set.
pub(super) fn load(options: &LoadOptions) -> Result<ImageSet> {
    let Some(dir) = &options.images_dir else {
        return Err(Error::usage("the data set 'images' needs a folder")
            .option_as("dataset", "images")
            .remedy("name the folder of class folders"));
    };
    if !dir.is_dir() {
        return Err(Error::usage("there is no such folder")
            .at(dir.display())
            .remedy("name the folder of class folders: --dataset images DIR"));
    }
    let mut notes = Vec::new();
    let (train, test) = splits(dir, options.seed, &mut notes)?;
    let names: Vec<String> = train.iter().map(|c| c.name.clone()).collect();
    if !(2..=limits::MAX_CLASSES).contains(&names.len()) {
        let what = format!("expected a folder for each of 2 to {} classes, found {}", limits::MAX_CLASSES, names.len());
        return Err(Error::usage(what).at(dir.display()));
    }
    let train = in_rounds(&train, &names)?;
    let tested: Vec<bool> = names.iter().map(|name| test.iter().any(|c| c.name == *name && !c.files.is_empty())).collect();
    let test = in_rounds(&test, &names)?;
    if test.is_empty() {
        return Err(Error::usage("no picture is left for the test").at(dir.display()).remedy("give three pictures per class at least"));
    }
    let channels = if options.grey { 1 } else { 3 };
    let (h, w) = match options.size {
        Some(size) => size,
        None => common_size(train.iter().chain(&test).map(|(path, _)| path.as_path()))?,
    };
    let shape: Chw = format!("{channels}x{h}x{w}").parse()?;
    let bytes = (train.len() + test.len()) as u64 * shape.len() as u64;
    if bytes > limits::MAX_SET_BYTES {
        return Err(Error::memory(format!("{} pictures of {shape} are {bytes} bytes", train.len() + test.len()))
            .at(dir.display())
            .remedy(format!("choose a smaller size: --size 32x32 (height x width); a set may have {} bytes", limits::MAX_SET_BYTES)));
    }
    notes.extend(own::untested(&names, &tested));
    notes.extend(in_both(&train, &test)?);
    let mut counts = Counts::default();
    let (train, test) = (read_all(&train, shape, &mut counts)?, read_all(&test, shape, &mut counts)?);
    notes.extend(counts.notes(train.len() + test.len(), (h, w)));
    Ok(ImageSet::new(sets::IMAGES, shape, names, train, test, notes))
}

/// The classes for training and those for the test.
fn splits(dir: &Path, seed: u64, notes: &mut Vec<String>) -> Result<(Vec<Class>, Vec<Class>)> {
    let folders: Vec<String> = entries(dir)?.iter().filter(|p| p.is_dir()).map(|p| name_of(p)).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let called = |name: &str| own::called(folders.iter().copied(), name);
    match (called("train"), called("test")) {
        (Some(train), Some(test)) => {
            let others: Vec<&str> = folders.iter().copied().filter(|f| *f != train && *f != test).collect();
            notes.extend(own::unused(&others));
            Ok((classes_in(&dir.join(train), true, notes)?, classes_in(&dir.join(test), true, notes)?))
        }
        (None, None) => Ok(divide(classes_in(dir, false, notes)?, seed)),
        (train, _) => {
            let (is, is_not) = if train.is_some() { ("train", "test") } else { ("test", "train") };
            let what = format!("there is a folder '{is}' but no folder '{is_not}'");
            Err(Error::usage(what).at(dir.display()).remedy("give both, or a folder per class without either"))
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of a folder by name; hidden ones are passed over.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::io(dir, "listing the folder", &e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The class folders of `dir`, with what lies in folders below them; files that are no pictures by their names are counted in the notes.
/// `divided`: `dir` is one of two splits.
fn classes_in(dir: &Path, divided: bool, notes: &mut Vec<String>) -> Result<Vec<Class>> {
    let (mut classes, mut others) = (Vec::new(), 0);
    let mut deep: Vec<PathBuf> = Vec::new();
    for folder in entries(dir)? {
        if !folder.is_dir() {
            others += 1;
            continue;
        }
        let mut files = Vec::new();
        others += gather(&folder, DEPTH, &mut files)?;
        if files.is_empty() {
            return Err(Error::usage("no PNG or JPEG in this class folder").at(folder.display()).remedy("fill it or remove it"));
        }
        deep.extend(files.iter().filter(|f| f.parent() != Some(&folder)).cloned());
        classes.push(Class { name: name_of(&folder), files });
    }
    if others > 0 {
        notes.push(format!("{}: {others} entries passed over that are not PNG or JPEG", dir.display()));
    }
    let example = deep.first().map_or(String::new(), |path| path.display().to_string());
    notes.extend(own::deeper(deep.len(), &example, divided));
    Ok(classes)
}

/// Adds the pictures in `folder` and, `depth` levels down, in the folders in it; gives how many other entries there are.
fn gather(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<usize> {
    let mut others = 0;
    for path in entries(folder)? {
        if path.is_dir() && depth > 0 {
            others += gather(&path, depth - 1, files)?;
        } else if path.is_file() && is_picture(&path) {
            files.push(path);
        } else {
            others += 1;
        }
    }
    Ok(others)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].iter().any(|e| extension == *e)
}

/// Splits every class by (seed, class).
fn divide(classes: Vec<Class>, seed: u64) -> (Vec<Class>, Vec<Class>) {
    let split = |(c, class): (usize, Class)| {
        let is_test = drawn_for_test(class.files.len(), seed, c);
        let (test, train): (Vec<_>, Vec<_>) = class.files.into_iter().zip(is_test).partition(|(_, t)| *t);
        let files = |part: Vec<(PathBuf, bool)>| part.into_iter().map(|(path, _)| path).collect();
        (Class { name: class.name.clone(), files: files(train) }, Class { name: class.name, files: files(test) })
    };
    classes.into_iter().enumerate().map(split).unzip()
}

/// Which of the `n` files of class number `c` are for the test: a fifth, rounded.
pub(super) fn drawn_for_test(n: usize, seed: u64, c: usize) -> Vec<bool> {
    let order = Rng::at(seed, Purpose::Split, c as u64, 0).permutation(n);
    let mut is_test = vec![false; n];
    order[..(n + TEST_SHARE / 2) / TEST_SHARE].iter().for_each(|&i| is_test[i as usize] = true);
    is_test
}

/// (file, label) of a split: the first of every class, the second of every class…
fn in_rounds(classes: &[Class], names: &[String]) -> Result<Vec<(PathBuf, u16)>> {
    let mut keyed = Vec::new();
    for class in classes {
        let Some(label) = names.iter().position(|n| *n == class.name) else {
            let what = format!("the class '{}' is in the test folder but not in the training folder", class.name);
            return Err(Error::usage(what).remedy("both must have the same class folders"));
        };
        keyed.extend(class.files.iter().enumerate().map(|(round, path)| (round, label as u16, path)));
    }
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, label, path)| (path.clone(), label)).collect())
}

/// The (height, width) that all pictures have.
fn common_size<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<(usize, usize)> {
    let mut first: Option<(&Path, (usize, usize))> = None;
    for path in paths {
        let size = dimensions(path)?;
        let (first_path, expected) = *first.get_or_insert((path, size));
        if size != expected {
            let what =
                format!("pictures differ in size: {}x{} here, {}x{} in {}", size.0, size.1, expected.0, expected.1, first_path.display());
            return Err(Error::usage(what)
                .at(path.display())
                .remedy("say which size to bring them to, e.g. --size 32x32 (height x width)"));
        }
    }
    first.map(|(_, size)| size).ok_or_else(|| Error::bug("no pictures to take the size of"))
}

/// Warns of pictures that are in both splits.
fn in_both(train: &[(PathBuf, u16)], test: &[(PathBuf, u16)]) -> Result<Option<String>> {
    let content = |path: &'_ PathBuf, test| -> Result<Content<PathBuf>> {
        let about = fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?;
        Ok(Content { key: path.clone(), bytes: about.len(), test })
    };
    let train = train.iter().map(|(path, _)| content(path, false));
    let files: Vec<_> = train.chain(test.iter().map(|(path, _)| content(path, true))).collect::<Result<_>>()?;
    own::in_both(&files, |path| fs::read(path).map_err(|e| Error::io(path, "reading", &e)))
}

/// Pictures with which something was done.
#[derive(Default)]
struct Counts {
    resized: usize,
    turned: usize,
    transparent: usize,
}

impl Counts {
    fn add(&mut self, picture: &Picture) {
        self.resized += usize::from(picture.resized_from.is_some());
        self.turned += usize::from(picture.turned);
        self.transparent += usize::from(picture.transparent);
    }

    /// What was done with how many of `all` pictures, brought to `size`.
    fn notes(&self, all: usize, (h, w): (usize, usize)) -> impl Iterator<Item = String> {
        let done = [
            (self.resized, format!("resized to {h}x{w}")),
            (self.turned, "turned as their EXIF orientation says".to_string()),
            (self.transparent, "have transparent pixels, which count with the colour stored under them".to_string()),
        ];
        done.into_iter().filter(|(n, _)| *n > 0).map(move |(n, what)| format!("{n} of {all} pictures {what}"))
    }
}

/// Reads the pictures of a split, and counts what was done with them. The first unreadable one by order is the error.
fn read_all(files: &[(PathBuf, u16)], shape: Chw, counts: &mut Counts) -> Result<Samples> {
    let mut pixels = vec![0; files.len() * shape.len()];
    let read = |(out, (path, _)): (&mut [u8], &(PathBuf, u16))| {
        load_picture(path, shape).map(|mut picture| {
            out.copy_from_slice(&std::mem::take(&mut picture.pixels));
            picture
        })
    };
    let outcomes: Vec<Result<Picture>> = pixels.par_chunks_exact_mut(shape.len()).zip(files).map(read).collect();
    outcomes.into_iter().collect::<Result<Vec<_>>>()?.iter().for_each(|picture| counts.add(picture));
    Ok(Samples { pixels, labels: files.iter().map(|(_, label)| *label).collect() })
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
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
            ["Train/a/1.png", "Train/b/anna/1.png", "Train/b/2.png", "TEST/a/1.png", "TEST/a/2.png", "val/a/9.png"].iter().enumerate()
        {
            rgb(&dir.path().join(path), 2, 2, [i as u8, 2, 3]);
        }
        fs::copy(dir.path().join("Train/a/1.png"), dir.path().join("TEST/a/1.png")).unwrap();
        let set = load(sets::IMAGES, &options(dir.path())).unwrap();
        assert_eq!((set.train.len(), set.test.len(), set.classes.len()), (3, 2, 2));
        let said = set.notes.join("\n");
        for part in [
            "not used: val;",
            "1 files lie in folders below",
            "no test samples of 1 of 2 classes: b",
            "warning: 1 of 2 test files are also",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let bmp = dir.path().join("x.png");
        fs::write(&bmp, b"BM\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        let e = load_picture(&bmp, Chw::new(1, 2, 2)).err().unwrap().to_string();
        assert!(e.contains("found BMP") && e.contains("convert it"), "{e}");
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
}

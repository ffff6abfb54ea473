//! The user's own pictures: a folder per class, PNG and JPEG.
//!
//! `DIR/train/<class>/` and `DIR/test/<class>/` if both are there, and with them `DIR/val/<class>/` to choose the best epoch by; else `DIR/<class>/`, of which a seeded fifth of every class
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
use crate::plural::{counted, counted_as, either};
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
    let Divided { train, validation, test } = splits(dir, options.seed, &mut notes)?;
    let names: Vec<String> = train.iter().map(|c| c.name.clone()).collect();
    if !(2..=limits::MAX_CLASSES).contains(&names.len()) {
        let what = format!("expected a folder for each of 2 to {} classes, found {}", limits::MAX_CLASSES, names.len());
        return Err(Error::usage(what).at(dir.display()));
    }
    let (train, validation) = (in_rounds(&train, &names, "training")?, in_rounds(&validation, &names, "validation")?);
    let tested: Vec<bool> = names.iter().map(|name| test.iter().any(|c| c.name == *name && !c.files.is_empty())).collect();
    let test = in_rounds(&test, &names, "test")?;
    if test.is_empty() {
        return Err(Error::usage("no picture is left for the test").at(dir.display()).remedy("give three pictures per class at least"));
    }
    let channels = if options.grey { 1 } else { 3 };
    let (h, w) = match options.size {
        Some(size) => size,
        None => common_size(train.iter().chain(&validation).chain(&test).map(|(path, _)| path.as_path()))?,
    };
    let shape: Chw = format!("{channels}x{h}x{w}").parse()?;
    let all = train.len() + validation.len() + test.len();
    let bytes = all as u64 * shape.len() as u64;
    if bytes > limits::MAX_SET_BYTES {
        return Err(Error::memory(format!("{all} pictures of {shape} are {bytes} bytes"))
            .at(dir.display())
            .remedy(format!("choose a smaller size: --size 32x32 (height x width); a set may have {} bytes", limits::MAX_SET_BYTES)));
    }
    notes.extend(own::untested(&names, &tested));
    notes.extend(in_both(&train, &test)?);
    let mut counts = Counts::default();
    let mut read = |files: &[(PathBuf, u16)]| read_all(files, shape, &mut counts);
    let (train, validation, test) = (read(&train)?, read(&validation)?, read(&test)?);
    notes.extend(counts.notes(all, (h, w)));
    Ok(ImageSet { validation, ..ImageSet::new(sets::IMAGES, shape, names, train, test, notes) })
}

/// The classes of every split.
struct Divided {
    train: Vec<Class>,
    /// Empty without a folder for it.
    validation: Vec<Class>,
    test: Vec<Class>,
}

fn splits(dir: &Path, seed: u64, notes: &mut Vec<String>) -> Result<Divided> {
    let folders: Vec<String> = entries(dir)?.iter().filter(|p| p.is_dir()).map(|p| name_of(p)).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let called = |name: &str| own::called(folders.iter().copied(), name);
    match (called("train"), called("test")) {
        (Some(train), Some(test)) => {
            let choosing = own::validation(folders.iter().copied());
            let others: Vec<&str> = folders.iter().copied().filter(|f| *f != train && *f != test && Some(*f) != choosing).collect();
            notes.extend(own::unused(&others));
            let mut classes = |folder: &str| classes_in(&dir.join(folder), true, notes);
            let (train, test) = (classes(train)?, classes(test)?);
            let validation = choosing.map(&mut classes).transpose()?.unwrap_or_default();
            let samples = validation.iter().map(|class| class.files.len()).sum();
            notes.extend(choosing.map(|folder| own::chosen_by(folder, samples)));
            Ok(Divided { train, validation, test })
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
        notes.push(format!(
            "{}: {} not PNG or JPEG",
            dir.display(),
            counted_as(others, "entry passed over that is", "entries passed over that are")
        ));
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
fn divide(classes: Vec<Class>, seed: u64) -> Divided {
    let split = |(c, class): (usize, Class)| {
        let is_test = drawn_for_test(class.files.len(), seed, c);
        let (test, train): (Vec<_>, Vec<_>) = class.files.into_iter().zip(is_test).partition(|(_, t)| *t);
        let files = |part: Vec<(PathBuf, bool)>| part.into_iter().map(|(path, _)| path).collect();
        (Class { name: class.name.clone(), files: files(train) }, Class { name: class.name, files: files(test) })
    };
    let (train, test) = classes.into_iter().enumerate().map(split).unzip();
    Divided { train, validation: Vec::new(), test }
}

/// Which of the `n` files of class number `c` are for the test: a fifth, rounded.
pub(super) fn drawn_for_test(n: usize, seed: u64, c: usize) -> Vec<bool> {
    let order = Rng::at(seed, Purpose::Split, c as u64, 0).permutation(n);
    let mut is_test = vec![false; n];
    order[..(n + TEST_SHARE / 2) / TEST_SHARE].iter().for_each(|&i| is_test[i as usize] = true);
    is_test
}

/// (file, label) of a split: the first of every class, the second of every class…
fn in_rounds(classes: &[Class], names: &[String], split: &str) -> Result<Vec<(PathBuf, u16)>> {
    let mut keyed = Vec::new();
    for class in classes {
        let Some(label) = names.iter().position(|n| *n == class.name) else {
            let what = format!("the class '{}' is in the {split} folder but not in the training folder", class.name);
            return Err(Error::usage(what).remedy("all must have the same class folders"));
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
            (
                self.transparent,
                format!("{} transparent pixels, which count with the colour stored under them", either(self.transparent, "has", "have")),
            ),
        ];
        done.into_iter().filter(|(n, _)| *n > 0).map(move |(n, what)| format!("{n} of {} {what}", counted(all, "picture")))
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
mod tests;

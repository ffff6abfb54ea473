use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::config::Options;
use crate::data::{self, LoadOptions, sets};

#[test]
fn what_is_made_ahead_is_what_would_have_been_made() {
    let limits = LoadOptions { train_limit: Some(70), test_limit: Some(20), ..LoadOptions::default() };
    let glyphs = data::load(sets::GLYPHS, &limits).unwrap();
    let config = Options { augment: Some(true), ..Options::default() }.complete().unwrap();
    let feed = Feed::new(&config, &glyphs).unwrap();
    let order: Vec<u32> = (0..70).rev().collect();
    let values = |l: Labelled| match l.batch.input {
        Input::Direct(v) | Input::Frames(v) => (v, l.labels, l.batch.steps),
    };
    let mut batches = 0;
    thread::scope(|scope| {
        let made = ahead(scope, order.chunks(16), |chunk| feed.training(2, chunk, false)).unwrap();
        for (chunk, made) in order.chunks(16).zip(made) {
            assert_eq!(values(made.unwrap()), values(feed.training(2, chunk, false).unwrap()));
            batches += 1;
        }
    });
    assert_eq!(batches, 5);
    // An image needs one step only where neurons have no memory.
    assert_eq!(feed.plain(Split::Test, &[3], true).unwrap().batch.steps, 1);
    assert_eq!(feed.plain(Split::Test, &[3], false).unwrap().batch.steps, config.time_steps.last());
}

#[test]
fn one_batch_is_made_ahead_and_none_after_the_receiver_is_gone() {
    let (order, made) = ([0u32; 20], AtomicUsize::new(0));
    thread::scope(|scope| {
        let batches = ahead(scope, order.chunks(1), |_| {
            made.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
        for used in 1..=3 {
            next(&batches).unwrap();
            thread::sleep(Duration::from_millis(30));
            assert!(made.load(Ordering::SeqCst) <= used + 1, "{} made when {used} were used", made.load(Ordering::SeqCst));
        }
        drop(batches);
    });
    assert!(made.load(Ordering::SeqCst) <= 4);
}

#[test]
fn a_batch_that_cannot_be_made_is_an_error_when_it_is_due() {
    let order = [0u32, 1, 2];
    thread::scope(|scope| {
        let batches =
            ahead(scope, order.chunks(1), |chunk| if chunk[0] == 1 { Err(Error::format("damaged")) } else { Ok(chunk[0]) }).unwrap();
        assert_eq!(next(&batches).unwrap(), 0);
        assert_eq!(next(&batches).unwrap_err().what, "damaged");
        assert_eq!(next(&batches).unwrap(), 2);
        assert!(next(&batches).unwrap_err().what.contains("fewer batches"));
    });
}

//! Networks of other programs, as `import` reads them.

use std::fs;

use spiketrain::config::Options;
use spiketrain::export::{self, Format, Hints, Model, Profile};
use spiketrain::plan::Plan;
use spiketrain::storage::Disk;
use spiketrain::trained::Trained;

use super::trial::{FREE, Scratch, Trial};

/// Small networks in a format, as we write them.
fn files(format: Format) -> Vec<Vec<u8>> {
    let scratch = Scratch::new(&format!("made.{}", format.name()));
    let config = Options::default().complete().unwrap();
    let mut files = Vec::new();
    for (net, profile) in [("2C3-MP2-3C1-AP3-2Voting", Profile::Portable), ("1C3-2FC-1Voting", Profile::Spec)] {
        let plan = Plan::new(net.parse().unwrap(), "1x6x6".parse().unwrap()).unwrap().without_relu();
        let model = Model::of(&Trained::fresh(config.clone(), &plan).unwrap()).unwrap();
        let path = scratch.put(&[]);
        let inputs = export::inputs::Inputs::of(&config, &model.plan, &spiketrain::trained::numbered(model.plan.classes()));
        export::write(&Disk, path, &model, &inputs, format, profile).unwrap();
        files.push(fs::read(path).unwrap());
    }
    files
}

/// Every cut and many mutants of a format.
pub fn of(format: Format) {
    let files = files(format);
    let scratch = Scratch::new(&format!("a.{}", format.name()));
    let hints = Hints::default();
    let trial = Trial { memory: |input| 4 * FREE + 64 * input, ..Trial::of(format.name()) };
    trial.run(&files, &mut |bytes| export::read(scratch.put(bytes), &hints).map(drop));
}

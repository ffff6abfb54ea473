//! The defaults of all data sets as one table.

use crate::data::sets;

/// What tells the sets apart by our own recipe, as text, for `spiketrain train --help` and the README.
pub fn defaults_table() -> String {
    let row = |[set, t, epochs, batch, net]: [&str; 5]| format!("{set:<13} {t:<11} {epochs:>6} {batch:>5}  {net}\n");
    let mut out = row(["data set", "T", "epochs", "batch", "net"]);
    for set in sets::ALL {
        let d = &set.defaults;
        out += &row([set.as_str(), d.time_steps, &d.epochs.to_string(), &d.batch.to_string(), &d.net.replace("{n}", "n")]);
    }
    out
}

//! The defaults of all data sets as one table.

use crate::data::{Preparation, sets};

/// The table as text, for `spiketrain train --help` and the README.
pub fn defaults_table() -> String {
    let row = |[set, t, batch, epochs, alpha, threshold, loss, augment, resize, warm_up, schedule, net]: [&str; 12]| {
        format!(
            "{set:<14} {t:>3} {batch:>5} {epochs:>6} {alpha:>4} {threshold:>4} {loss:<4} {augment:<24} {resize:<8} {warm_up:<8} {schedule:<14} {net}\n"
        )
    };
    let mut out = row(["data set", "T", "batch", "epochs", "α", "u_th", "loss", "augment", "resize", "warm-up", "schedule", "net"]);
    for set in sets::ALL {
        let (d, prep) = (&set.defaults, Preparation::of(set, 1));
        let augment = if d.augment { prep.augmentation() } else { "no".to_string() };
        let [t, batch, epochs] = [d.time_steps, d.batch, d.epochs].map(|n| n.to_string());
        let [alpha, threshold] = [d.alpha, d.threshold].map(|v| v.to_string());
        let net = d.net.replace("{n}", "n");
        out += &row([
            set.as_str(),
            &t,
            &batch,
            &epochs,
            &alpha,
            &threshold,
            d.loss,
            &augment,
            prep.resize.name(),
            d.warm_up,
            d.schedule,
            &net,
        ]);
    }
    out
}

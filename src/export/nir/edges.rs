//! The edges of a NIR graph: subgraphs opened, and followed from the input to the output.

use std::collections::{HashMap, HashSet};

use super::SUPPORTED;
use crate::error::{Error, Result};
use crate::export::graph::{Chain, Node};
use crate::limits;

/// Nodes and edges of a graph and its subgraphs. The nodes of a subgraph `hidden` are called `hidden.lif` here.
#[derive(Default)]
pub struct Edges {
    /// From, to.
    pairs: Vec<[String; 2]>,
    /// Where a subgraph begins and ends: the names of its Input and Output.
    subgraphs: HashMap<String, [String; 2]>,
}

impl Edges {
    /// Adds the edges of the graph whose nodes' names begin with `prefix`.
    ///
    /// # Errors
    /// Format: more than a chain of the allowed length can have.
    pub fn add(&mut self, prefix: &str, names: &[String]) -> Result<()> {
        if names.len() + 2 * self.pairs.len() > 8 * limits::MAX_NODES {
            return Err(Error::format(format!("{} edges are more than a chain has", names.len() / 2)));
        }
        self.pairs.extend(names.as_chunks().0.iter().map(|[a, b]| [format!("{prefix}{a}"), format!("{prefix}{b}")]));
        Ok(())
    }

    /// Says where a subgraph begins and ends.
    pub fn subgraph(&mut self, name: &str, input: String, output: String) {
        self.subgraphs.insert(name.to_string(), [input, output]);
    }

    /// A node on a way that leads back to it, and the one it leads to; of several the first by name.
    pub fn recurrence(&self) -> Option<(String, String)> {
        let mut pairs = self.joined();
        loop {
            let from: HashSet<String> = pairs.iter().map(|[a, _]| a.clone()).collect();
            let to: HashSet<String> = pairs.iter().map(|[_, b]| b.clone()).collect();
            let before = pairs.len();
            // Whatever nothing leads to, or that leads nowhere, is on no cycle.
            pairs.retain(|[a, b]| to.contains(a) && from.contains(b));
            if pairs.len() == before {
                return pairs.into_iter().min().map(|[a, b]| (a, b));
            }
        }
    }

    /// Edges with subgraphs replaced by their ends.
    fn joined(&self) -> Vec<[String; 2]> {
        let end = |name: &String, which: usize| self.subgraphs.get(name).map_or(name, |ends| &ends[which]).clone();
        self.pairs.iter().map(|[a, b]| [end(a, 1), end(b, 0)]).collect()
    }

    /// Follows the edges from the input.
    ///
    /// # Errors
    /// Format: the graph branches, leads back, or does not lead through all of its nodes.
    pub fn chain(&self, mut nodes: HashMap<String, Node>) -> Result<Chain> {
        let inner: HashSet<&String> = self.subgraphs.values().flatten().collect();
        let pairs = self.joined();
        let (mut next, mut targets) = (HashMap::new(), HashSet::new());
        for [from, to] in &pairs {
            if next.insert(from, to).is_some() || !targets.insert(to) {
                return Err(self.branching(from, to));
            }
        }
        let inputs: Vec<&String> =
            nodes.iter().filter(|(n, k)| matches!(k, Node::Input(_)) && !inner.contains(n)).map(|(n, _)| n).collect();
        let [input] = inputs[..] else {
            return Err(Error::format(format!("expected one Input node, found {}", inputs.len())));
        };
        let (mut at, mut all) = (input.clone(), Vec::new());
        loop {
            let node = nodes
                .remove(&at)
                .ok_or_else(|| Error::format(format!("an edge leads to '{at}', which is no node, or was passed before")))?;
            // Where a subgraph begins or ends nothing happens.
            if !inner.contains(&at) {
                let last = matches!(node, Node::Output(_));
                all.push((at.clone(), node));
                if last {
                    break;
                }
            }
            at = next.get(&at).ok_or_else(|| Error::format(format!("no edge leads on from '{at}'")))?.to_string();
        }
        match nodes.keys().min() {
            Some(left) => {
                Err(Error::format(format!("node '{left}' is not on the way from input to output"))
                    .remedy(format!("supported are {SUPPORTED}")))
            }
            None => Ok(Chain(all)),
        }
    }

    fn branching(&self, from: &str, to: &str) -> Error {
        match self.recurrence() {
            Some((a, b)) => Error::format(format!("the graph is recurrent: what '{a}' sends to '{b}' comes back to '{a}'"))
                .remedy(format!("networks here are feed-forward; supported are {SUPPORTED}")),
            None => Error::format(format!("the graph branches at the edge from '{from}' to '{to}'"))
                .remedy(format!("supported are {SUPPORTED}")),
        }
    }
}

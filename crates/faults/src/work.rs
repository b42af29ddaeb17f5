//! What a run has to do, and what it must leave behind.

use serde_json::{Value, json};

use crate::random::Random;

/// Graphs that a run can be made of. The `approval` graph is another matter: it takes two runs.
const GRAPHS: [&str; 7] = ["simple", "steps", "blocking", "sleeping", "tokens", "nested", "fan"];

/// The work of one run. Its tag is unique, so that whatever it leaves can be told from everything else.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) tag: String,
    pub(crate) graph: &'static str,
    steps: u64,
    pause_ms: u64,
    /// Whether it answers the question of the run before.
    resumes: bool,
    durability: &'static str,
}

/// Steps of a long run, and the time that each takes: ten seconds, more than anything takes that ends it early.
const LONG: (u64, u64) = (100, 100);

impl Work {
    /// Some work.
    pub(crate) fn draw(random: &mut Random, tag: String) -> Self {
        let graph = random.pick(&GRAPHS);
        Self::of(random, tag, graph)
    }

    /// Work of this graph.
    pub(crate) fn of(random: &mut Random, tag: String, graph: &'static str) -> Self {
        let durability = random.pick(&["async", "async", "sync", "exit"]);
        let (steps, pause_ms) = (2 + random.below(9), random.below(150));
        Self { tag, graph, steps, pause_ms, resumes: false, durability }
    }

    /// Work that goes on until somebody ends it, or nearly so.
    pub(crate) fn long(random: &mut Random, tag: String) -> Self {
        let (steps, step_ms) = LONG;
        // The graph divides its pause.
        Self { steps, pause_ms: 4 * step_ms, ..Self::of(random, tag, "steps") }
    }

    /// The second run of the `approval` graph.
    pub(crate) fn resuming(random: &mut Random, tag: String) -> Self {
        Self { resumes: true, ..Self::of(random, tag, "approval") }
    }

    /// Whether it stops with a question.
    pub(crate) fn asks(&self) -> bool {
        self.graph == "approval" && !self.resumes
    }

    /// What is appended to `log`, in order.
    pub(crate) fn entries(&self) -> Vec<String> {
        let numbered = |what: &str, numbers: std::ops::Range<u64>| -> Vec<String> {
            numbers.map(|number| format!("{what}-{number}")).collect()
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut nodes = match self.graph {
            "steps" => numbered("step", 1..self.steps + 1),
            "tokens" => words(&["words-20"]),
            "nested" => words(&["inner-x", "inner-y", "outer"]),
            "fan" => [numbered("part", 0..4), words(&["join"])].concat(),
            "approval" if self.resumes => words(&["resumed", "after"]),
            "approval" => words(&["before"]),
            _ => words(&["a", "b"]),
        };
        if !self.resumes {
            nodes.insert(0, "in".into());
        }
        nodes.into_iter().map(|node| format!("{} {node}", self.tag)).collect()
    }

    /// The body of a request that creates the run, before anything that is special about the request.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "assistant_id": self.graph,
            "metadata": {"tag": self.tag},
            "durability": self.durability,
            "stream_mode": ["values", "updates"],
            "config": {"recursion_limit": 2 * LONG.0},
        });
        if self.resumes {
            body["command"] = json!({"resume": self.tag});
        } else {
            body["input"] = json!({
                "tag": self.tag,
                "steps": self.steps,
                "pause": self.pause_ms as f64 / 1000.0,
                "done": 0,
                "log": [format!("{} in", self.tag)],
            });
        }
        body
    }
}

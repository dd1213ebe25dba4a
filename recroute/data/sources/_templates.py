"""The texts of the simulated prompts: tasks, their topics and the words to fill in."""

from __future__ import annotations

# task -> topic -> templates. {a} and {b} are numbers, which grow with the difficulty; {x} and {y} are words of
# the topic; {detail} is a list of conditions, one for each step of the difficulty.
TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "arithmetic": {
        "shopping": ("A shop sells {a} {x} and {b} {y}. {detail} How many goods are left?",),
        "travel": ("A {x} covers {a} miles before noon and {b} after it. {detail} How far from the {y} is it?",),
    },
    "code": {
        "lists": ("What does the Python function print for the list of {x} [{a}, {b}]? {detail}",),
        "strings": ("Write a function that turns the string '{x}{a}' into '{y}{b}'. {detail}",),
    },
    "translation": {
        "letters": ("Translate this letter about the {x} and the {y} of {a} May into French. {detail}",),
        "signs": ("Translate the sign at the {x} into German: 'No {y} after {a} o'clock, fine {b}'. {detail}",),
    },
    "science": {
        "physics": ("A {x} of {a} kilograms meets a {y} at {b} metres per second. {detail} Which law applies?",),
        "biology": ("Which organ lets a {x} live with {a} {y} for {b} days? {detail} Choose one.",),
    },
    "law": {
        "contracts": ("Clause {a} binds the {x}, clause {b} frees the {y}. {detail} Is the contract valid?",),
        "ethics": ("A {x} learns a secret of the {y} after {a} years and {b} months. {detail} What is fair?",),
    },
    "commonsense": {
        "home": ("Someone puts the {x} beside the {y} at {a} past {b}. {detail} What happens next?",),
        "people": ("The {x} waved at the {y} {a} times because it was number {b}. {detail} Who was it?",),
    },
    "summary": {
        "news": ("Summarise in {a} words the report on the {x}, the {y} and {b} witnesses. {detail}",),
        "minutes": ("Summarise the minutes of meeting {a}, item {b}, on {x} and {y}. {detail}",),
    },
    "logic": {
        "seating": ("{a} guests sit around table {b}. The {x} never sits by the {y}. {detail} Who sits where?",),
        "knights": ("Of {a} islanders {b} always lie. The {x} accuses the {y}. {detail} Who tells the truth?",),
    },
}

WORDS: dict[str, tuple[str, ...]] = {
    "shopping": ("apples", "candles", "notebooks", "kettles", "ribbons", "lamps", "buttons", "mugs"),
    "travel": ("train", "cyclist", "ferry", "lorry", "harbour", "station", "hiker", "depot"),
    "lists": ("integers", "tuples", "floats", "indices", "slices", "pairs", "keys", "queues"),
    "strings": ("abba", "foo", "token", "suffix", "utf", "regex", "camelCase", "hash"),
    "letters": (
        "wedding",
        "inheritance",
        "garden",
        "anniversary",
        "journey",
        "illness",
        "farewell",
        "harvest",
    ),
    "signs": ("museum", "quay", "parking", "cycling", "library", "smoking", "fishing", "platform"),
    "physics": ("sled", "pendulum", "magnet", "piston", "lens", "spring", "pulley", "rotor"),
    "biology": ("frog", "lichen", "beetle", "orchid", "heron", "yeast", "salmon", "moss"),
    "contracts": ("tenant", "supplier", "insurer", "buyer", "licensee", "guarantor", "carrier", "agent"),
    "ethics": ("nurse", "teacher", "neighbour", "reporter", "coach", "judge", "engineer", "volunteer"),
    "home": ("kettle", "blanket", "ladder", "mirror", "bucket", "carpet", "umbrella", "cushion"),
    "people": ("baker", "twin", "guest", "driver", "uncle", "child", "tourist", "gardener"),
    "news": ("flood", "strike", "election", "robbery", "festival", "merger", "heatwave", "trial"),
    "minutes": ("budget", "staffing", "audit", "lease", "safety", "recruitment", "pension", "archive"),
    "seating": ("duke", "pianist", "astronomer", "twin", "baroness", "colonel", "poet", "widow"),
    "knights": ("knight", "knave", "spy", "herald", "jester", "squire", "hermit", "guard"),
}

DETAILS = (
    "Mind that the second half counts double.",
    "Leave out every third one.",
    "Nothing of this holds on a Sunday.",
    "The order matters.",
    "One of the statements is irrelevant.",
    "Round only at the very end.",
)

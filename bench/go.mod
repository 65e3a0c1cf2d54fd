module handoff/bench

go 1.26.4

require handoff/shared v0.0.0

replace handoff/shared => ../shared

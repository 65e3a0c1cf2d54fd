package commit

// Identity is who a store's file is.
type Identity struct {
	Store string // the store that it holds, shared with the streams in NATS; empty until it has taken or made one
	File  string // this file; a copy of it has the same
	Start uint64 // how often it has been opened; a copy that was put back is behind
}

package records

// found is what there is to see of RECORDS.
type found struct {
	messages    uint64
	first, last uint64 // sequences
	gaps        bool   // messages are missing between first and last
	newest      *header
}

// header is what a message of facts says of itself.
type header struct {
	sequence uint64
	key      uint64 // highest log key in it
	replaces uint64 // everything up to this sequence is superseded once this message's copy is whole
}

// A verdict is what is to be done about RECORDS.
type verdict int

const (
	goOn   verdict = iota // behind its newest message
	anew                  // from the first user: facts are missing
	behind                // it knows more than the store, which learns that first, and then it is written anew
)

// judge decides how to go on, given the highest log key that the store has given out. A copy begins with the first message behind
// what it replaces; only its whole beginning makes the key of its newest message mean that every user up to there is in it.
func judge(f found, lastKey uint64) verdict {
	switch n := f.newest; {
	case n == nil, n.replaces >= n.sequence:
		return anew
	case n.key > lastKey:
		return behind
	case f.first > n.replaces+1:
		return anew
	case f.first == n.replaces+1 && f.gaps:
		return anew // with an older copy in front, gaps may be in that one, and it goes soon
	}
	return goOn
}

// room is how much of RECORDS is taken.
type room struct {
	bytes, limit uint64
	living       uint64 // about what the users that there are would take
	rewriting    bool   // an older copy is still there
}

// tight reports whether it is time to ask what the living would take.
func (r room) tight() bool { return !r.rewriting && r.limit > 0 && r.bytes > r.limit/2 }

// worth reports whether users should be written anew. Over half, that takes room for both copies, and has to win a quarter. Nearly
// full, a tenth is worth it, and the old copy has to go before the new one is whole.
func (r room) worth() bool {
	if !r.tight() || r.living >= r.bytes {
		return false
	}
	won := r.bytes - r.living
	return won >= r.bytes/4 && r.bytes+r.living < r.limit || r.nearlyFull() && won >= r.limit/10
}

func (r room) nearlyFull() bool { return r.limit > 0 && r.bytes > r.limit/20*19 }

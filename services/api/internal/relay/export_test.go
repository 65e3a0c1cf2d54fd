package relay

// Limits can be made small in tests.
type Limits = limits

// DefaultLimits are those of [New].
func DefaultLimits() Limits { return defaults() }

// NewLimited is [New] with other limits.
var NewLimited = newRelay

// InMemory is how many accepts of a stream are kept in memory.
func (r *Relay) InMemory(name string) int {
	l := r.lanes[name]
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

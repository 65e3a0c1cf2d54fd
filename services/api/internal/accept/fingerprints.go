package accept

// fingerprints is a set of 64-bit fingerprints, each with the log keys of what it was taken of. It says where in the store to look; the
// store confirms. The set is kept outside the store because one key in random order would cost an accept more than all the rest of its
// writing. It belongs to the goroutine that writes.
type fingerprints struct {
	first map[uint64]uint64   // fingerprint → log key
	more  map[uint64][]uint64 // further log keys under the same fingerprint
}

func newFingerprints(n int) fingerprints {
	return fingerprints{first: make(map[uint64]uint64, n), more: map[uint64][]uint64{}}
}

// under gives the log keys under a fingerprint.
func (f *fingerprints) under(print uint64) []uint64 {
	first, ok := f.first[print]
	if !ok {
		return nil
	}
	return append([]uint64{first}, f.more[print]...)
}

func (f *fingerprints) add(print, key uint64) {
	if _, ok := f.first[print]; ok {
		f.more[print] = append(f.more[print], key)
		return
	}
	f.first[print] = key
}

func (f *fingerprints) remove(print, key uint64) {
	rest := f.more[print]
	if first, ok := f.first[print]; ok && first == key {
		delete(f.first, print)
		delete(f.more, print)
		for _, k := range rest {
			f.add(print, k)
		}
		return
	}
	delete(f.more, print)
	for _, k := range rest {
		if k != key {
			f.more[print] = append(f.more[print], k)
		}
	}
}

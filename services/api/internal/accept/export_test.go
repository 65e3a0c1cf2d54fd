package accept

// NewEmailsUnder makes a set whose fingerprints are f's.
var NewEmailsUnder = newEmails

// NewKeysUnder makes a set whose fingerprints are f's.
var NewKeysUnder = newKeys

// Len is how many fingerprints and further users are kept in memory.
func (e *Emails) Len() (prints, more int) { return e.users.len() }

// Len is how many fingerprints, further requests and places in the queue are kept in memory.
func (k *Keys) Len() (prints, more, queue int) {
	prints, more = k.prints.len()
	return prints, more, len(k.queue)
}

func (f *fingerprints) len() (prints, more int) {
	for _, keys := range f.more {
		more += len(keys)
	}
	return len(f.first), more
}

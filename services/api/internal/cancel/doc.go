// Package cancel has services know what was cancelled. A cancel is first in the store, where it is an end like any other (package
// accept writes it); from then on it holds. The services learn of it from their buckets: the [Teller] writes it there, over whatever
// the record says of the task's generation, and tries again until it is there.
//
// What [Decide] makes of a record is a pure function. The event is never taken back from its stream: whoever is given it meets the
// record.
package cancel

// Package sweep finds tasks that have come to rest without an end: whose message was lost, or delivered to somebody who never came
// back, or whose record nobody has read. [Decide] says what to do with one; [Sweeper] looks at those that have not changed for
// some minutes. It is the last net under all the others: what it finds, something else should have seen to.
package sweep

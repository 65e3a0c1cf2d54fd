// Package redrive has many dead tasks done again at once: those that a filter selects, a few in a transaction, so that accepts pass
// between them. What happens to each is package reissue's business; see [reissue.Redrive].
package redrive

// Package objectstore keeps finished pictures in a JetStream object store. The bucket is the api's to create; until it is
// there, storing fails, and a retry will find it.
package objectstore

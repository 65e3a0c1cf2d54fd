// Package natstest runs a real NATS server with JetStream inside a test, with everything that package stream knows of in place.
package natstest

// Package natsserver runs a NATS server inside a measurement, set up as that of the embedded default, for an api that is measured alone.
package natsserver

// Package sample holds a picture of our own making, so that a first try of the picture service needs neither a network
// nor somebody else's photograph.
//
// The picture is drawn by code: nothing is embedded, and it always looks the same. It is made when it is first asked for.
// The package knows nothing of HTTP; package web serves what it holds.
package sample

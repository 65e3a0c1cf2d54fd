package bolt

import (
	"crypto/rand"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"handoff/services/api/internal/commit"
)

// Keys in bucketMeta.
const (
	metaStore = "store"
	metaFile  = "file"
	metaStart = "start"
)

// Identity gives who this file is. It is as it was when the file was opened, but for what was committed since.
func (s *Store) Identity() (id commit.Identity, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		meta := bucket(tx, bucketMeta)
		id = commit.Identity{
			Store: string(meta.Get([]byte(metaStore))), File: string(meta.Get([]byte(metaFile))), Start: number(meta.Get([]byte(metaStart))),
		}
		return nil
	})
	return id, err
}

// countStart notes one more start, before anything else is done with the file.
func countStart(db *bolt.DB) error {
	err := db.Update(func(tx *bolt.Tx) error {
		meta := bucket(tx, bucketMeta)
		if meta.Get([]byte(metaFile)) == nil {
			if err := meta.Put([]byte(metaFile), []byte(rand.Text())); err != nil {
				return err
			}
		}
		return meta.Put([]byte(metaStart), key(number(meta.Get([]byte(metaStart)))+1))
	})
	if err != nil {
		return fmt.Errorf("count the start: %w", err)
	}
	return nil
}

// putIdentity writes what a transaction has changed of who the file is.
func putIdentity(tx *bolt.Tx, c *commit.Changes) error {
	meta := bucket(tx, bucketMeta)
	var errs []error
	if c.StoreID != "" {
		errs = append(errs, meta.Put([]byte(metaStore), []byte(c.StoreID)))
	}
	if c.Start > 0 {
		errs = append(errs, meta.Put([]byte(metaStart), key(c.Start)))
	}
	return errors.Join(errs...)
}

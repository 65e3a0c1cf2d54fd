package api

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/disk"

	"handoff/services/api/internal/sample"
	"handoff/services/api/internal/trim"
	"handoff/shared/daemon"
	"handoff/shared/stream"
)

// Config is what the api can be told, beside what every service can.
type Config struct {
	// Addr is where HTTP is served.
	Addr string `env:"ADDR" envDefault:"127.0.0.1:8000"`
	// DataDir holds api.db.
	DataDir string `env:"DATA_DIR" envDefault:"data"`
	// MaxStore is how many bytes of the NATS server's disk all streams and buckets share; 0 for [DefaultMaxStore].
	MaxStore int64 `env:"NATS_MAX_STORE"`
	// History is whether a copy of every event is kept in HISTORY: on or off.
	History string `env:"HISTORY" envDefault:"on"`
	// LogRetention is how long HISTORY keeps its copies, and the buckets the records of ended tasks.
	LogRetention time.Duration `env:"LOG_RETENTION" envDefault:"168h"`
	// JobRetention is how long ended jobs are shown; dead ones stay for longer.
	JobRetention time.Duration `env:"JOB_RETENTION" envDefault:"168h"`
	// JobMax is how many jobs are kept; beyond, the oldest ended ones leave.
	JobMax int64 `env:"JOB_MAX" envDefault:"1000000"`
	// DeadMax is how many dead jobs are kept.
	DeadMax int `env:"DEAD_MAX" envDefault:"100000"`
	// UnrelayedMax is how many jobs of each stream may wait until NATS can be told of them; beyond, no more are accepted for it.
	UnrelayedMax int64 `env:"UNRELAYED_MAX" envDefault:"1000000"`
	// SyncInterval is how long the NATS server may take to have on its disk what it has acknowledged.
	SyncInterval time.Duration `env:"NATS_SYNC_INTERVAL" envDefault:"2m"`
	// SamplesURL is the address under which the imager reaches this api, such as http://api:8000. When it is set, sample
	// pictures are served below /samples/.
	SamplesURL string `env:"SAMPLES_URL"`
}

// minStore is what streams and buckets need to be of any use.
const minStore = 64 << 20

// Validate implements [daemon.Validator].
func (c *Config) Validate() error {
	var errs []error
	errs = append(errs, daemon.CheckAddr("ADDR", c.Addr))
	if c.DataDir == "" {
		errs = append(errs, errors.New("DATA_DIR is empty: use a directory such as data"))
	}
	if c.MaxStore != 0 && c.MaxStore < minStore {
		errs = append(errs, fmt.Errorf("NATS_MAX_STORE is %d: use bytes, at least %d, or leave it out", c.MaxStore, minStore))
	}
	if c.History != "on" && c.History != "off" {
		errs = append(errs, fmt.Errorf("HISTORY is %q: use on or off", c.History))
	}
	if c.SyncInterval <= 0 {
		errs = append(errs, fmt.Errorf("NATS_SYNC_INTERVAL is %s: use a time such as 2m", c.SyncInterval))
	}
	if u, err := url.Parse(c.SamplesURL); c.SamplesURL != "" && (err != nil || u.Scheme != "http" || u.Host == "") {
		errs = append(errs, fmt.Errorf("SAMPLES_URL is %q: use an address such as http://127.0.0.1:8000", c.SamplesURL))
	}
	for _, retention := range []struct {
		name string
		time time.Duration
	}{{"LOG_RETENTION", c.LogRetention}, {"JOB_RETENTION", c.JobRetention}} {
		if retention.time < time.Second {
			errs = append(errs, fmt.Errorf("%s is %s: use a time such as 168h, at least 1s", retention.name, retention.time))
		}
	}
	if c.JobMax < 1 {
		errs = append(errs, fmt.Errorf("JOB_MAX is %d: use at least 1", c.JobMax))
	}
	if c.UnrelayedMax < 1 {
		errs = append(errs, fmt.Errorf("UNRELAYED_MAX is %d: use at least 1", c.UnrelayedMax))
	}
	if c.DeadMax < 1 {
		errs = append(errs, fmt.Errorf("DEAD_MAX is %d: use at least 1", c.DeadMax))
	}
	return errors.Join(errs...)
}

// DefaultMaxStore is the share of the disk under dataDir that streams and buckets get when nobody says how much: half of what is
// free, at most 8 GiB, rounded down to a power of two, so that it is the same at the next start. dataDir is made if it is missing.
func DefaultMaxStore(dataDir string) (int64, error) {
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return 0, fmt.Errorf("DATA_DIR: %w", err)
	}
	usage, err := disk.Usage(dataDir)
	if err != nil {
		return 0, fmt.Errorf("DATA_DIR: find out how much of the disk is free: %w", err)
	}
	size := int64(stream.DefaultMaxStore)
	for size > minStore && uint64(size) > usage.Free/2 {
		size /= 2
	}
	return size, nil
}

func (c *Config) storePath() string { return filepath.Join(c.DataDir, "api.db") }

func (c *Config) streams() (stream.Config, error) {
	size := c.MaxStore
	if size == 0 {
		var err error
		if size, err = DefaultMaxStore(c.DataDir); err != nil {
			return stream.Config{}, err
		}
	}
	return stream.Config{MaxStore: size, History: c.History == "on", HistoryRetention: c.LogRetention}, nil
}

// limits say what trim keeps.
func (c *Config) limits() trim.Limits {
	return trim.Limits{
		JobRetention: c.JobRetention, JobMax: c.JobMax, DeadMax: c.DeadMax, LogRetention: c.LogRetention,
		Grace: max(time.Minute, 2*c.SyncInterval),
	}
}

// samples are the pictures served below /samples/, if any.
func (c *Config) samples() *sample.Set {
	if c.SamplesURL == "" {
		return nil
	}
	return sample.New()
}

// sampleURL is where the sample picture is, as the imager would fetch it; empty when there is none.
func (c *Config) sampleURL() string {
	if c.SamplesURL == "" {
		return ""
	}
	return strings.TrimSuffix(c.SamplesURL, "/") + "/samples/" + sample.Landscape
}

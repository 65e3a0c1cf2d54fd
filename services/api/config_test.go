package api_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"handoff/services/api"
	"handoff/shared/daemon"
	"handoff/shared/stream"
)

func TestEveryWrongVariableIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"ADDR": "8000", "NATS_MAX_STORE": "1024", "HISTORY": "maybe", "LOG_RETENTION": "1ms", "JOB_RETENTION": "0s", "JOB_MAX": "0", "DEAD_MAX": "-1", "UNRELAYED_MAX": "0", "NATS_SYNC_INTERVAL": "0s", "SAMPLES_URL": "api:8000",
	} {
		t.Setenv(name, value)
	}
	err := daemon.Load(&api.Config{})
	var bad *daemon.ConfigError
	if !errors.As(err, &bad) {
		t.Fatalf("Load: %v, want a ConfigError", err)
	}
	for _, name := range []string{"ADDR", "NATS_MAX_STORE", "HISTORY", "LOG_RETENTION", "JOB_RETENTION", "JOB_MAX", "DEAD_MAX", "UNRELAYED_MAX", "NATS_SYNC_INTERVAL", "SAMPLES_URL"} {
		if !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}

func TestDefaultMaxStoreIsAPowerOfTwoWithinBounds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made")
	size, err := api.DefaultMaxStore(dir)
	if err != nil || size < 64<<20 || size > stream.DefaultMaxStore || size&(size-1) != 0 {
		t.Errorf("DefaultMaxStore: %d, %v", size, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.DefaultMaxStore(filepath.Join(file, "below")); err == nil || !strings.Contains(err.Error(), "DATA_DIR") {
		t.Errorf("a directory that can't be made: %v", err)
	}
}

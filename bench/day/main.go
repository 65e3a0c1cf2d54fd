package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"handoff/bench/internal/command"
)

func main() { command.Main(run) }

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	return command.Run(ctx, "day", args, errOut, parse, func(ctx context.Context, cfg config) error { return day(ctx, cfg, out) })
}

type config struct {
	duration time.Duration
	every    time.Duration
	tasks    int
	users    int
	dir      string
}

func parse(args []string, errOut io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("day", flag.ContinueOnError)
	flags.DurationVar(&cfg.duration, "duration", 8*time.Minute, "how long requests are sent; the tasker is stopped at half of it until it is refused")
	flags.DurationVar(&cfg.every, "every", 15*time.Second, "how often levels are printed")
	flags.IntVar(&cfg.tasks, "tasks", 50, "tasks a second; a bucket of so small a store has room for about 100 a second")
	flags.IntVar(&cfg.users, "users", 10, "users a second")
	flags.StringVar(&cfg.dir, "dir", os.TempDir(), "where data is kept while it runs")
	err := command.Parse(flags, args, errOut)
	switch {
	case err != nil:
		return config{}, err
	case cfg.duration <= 0 || cfg.every <= 0:
		return config{}, errors.New("-duration and -every: use times such as 15s")
	case cfg.tasks < 1 || cfg.users < 1:
		return config{}, errors.New("-tasks and -users: use at least 1 a second")
	}
	return cfg, nil
}

// day runs the load and the look-out beside each other, and judges in the end.
func day(ctx context.Context, cfg config, out io.Writer) (err error) {
	h, err := open(ctx, cfg.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	tasks := &load{url: h.api.URL + "/async-task/", status: 202, body: func(int) string { return `{"duration_seconds":0}` }}
	users := &load{url: h.api.URL + "/users/", status: 201, body: func(i int) string {
		return fmt.Sprintf(`{"email":"u%d@day.example.com","username":"testuser"}`, i)
	}}
	watched, stop := context.WithCancel(ctx)
	looking := make(chan []level, 1)
	go func() { looking <- look(watched, h.api, cfg.every, out) }()
	err = errors.Join(
		phase(ctx, cfg, cfg.duration/2, tasks, users),
		pushBack(ctx, cfg, h, tasks, users, out),
		phase(ctx, cfg, cfg.duration/2, tasks, users),
	)
	err = errors.Join(err, settle(ctx, h, out))
	stop()
	levels := <-looking
	return errors.Join(err, judge(levels, tasks, users, out))
}

// phase sends both loads for d.
func phase(ctx context.Context, cfg config, d time.Duration, tasks, users *load) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	both(ctx, cfg, tasks, users)
	if n := tasks.others(); n > tasks.expected {
		return fmt.Errorf("tasks were refused while the tasker ran: %s", tasks.said())
	}
	return nil
}

func both(ctx context.Context, cfg config, tasks, users *load) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		users.send(ctx, cfg.users)
	}()
	tasks.send(ctx, cfg.tasks)
	<-ended
}

// pushBack stops the tasker until tasks are refused, starts it, and waits until they are accepted again.
func pushBack(ctx context.Context, cfg config, h *house, tasks, users *load, out io.Writer) error {
	begun := time.Now()
	if err := h.stopTasker(); err != nil {
		return err
	}
	quick := cfg
	quick.tasks *= 4
	ctx2, cancel := context.WithTimeout(ctx, pushPatience)
	defer cancel()
	tasks.onRefused = cancel
	both(ctx2, quick, tasks, users)
	tasks.onRefused = nil
	if tasks.others() == 0 {
		return fmt.Errorf("the tasker was stopped for %s and nothing was refused", pushPatience)
	}
	refusedAfter := time.Since(begun)
	if err := h.startTasker(ctx); err != nil {
		return err
	}
	begun = time.Now()
	for before := tasks.accepted(); tasks.accepted() == before; {
		if time.Since(begun) > pushPatience || ctx.Err() != nil {
			return errors.New("tasks are not accepted again")
		}
		one, cancel := context.WithTimeout(ctx, time.Second)
		both(one, config{tasks: 2, users: cfg.users}, tasks, users)
		cancel()
	}
	tasks.expected = tasks.others()
	_, err := fmt.Fprintf(out, "the tasker stopped: tasks were refused after %s (%s); with it, accepted again after %s\n",
		refusedAfter.Round(time.Second), tasks.said(), time.Since(begun).Round(time.Second))
	return err
}

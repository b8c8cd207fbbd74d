package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// dialTurn is a target and its turn in the period.
type dialTurn struct {
	url  string
	turn time.Duration
}

func readDialPlan(arguments []string) (dialPlan, error) {
	var plan dialPlan
	if len(arguments) != 1 {
		return plan, errors.New("one argument is what to dial")
	}
	return plan, json.Unmarshal([]byte(arguments[0]), &plan)
}

// turns returns the targets, spread over the period by chance and in the order of
// their turns, like those of the agent.
func (p dialPlan) turns() []dialTurn {
	random := rand.New(rand.NewPCG(1, 2))
	var turns []dialTurn
	for port := p.First; port <= p.Last; port++ {
		for _, address := range p.Addresses {
			turns = append(turns, dialTurn{
				url:  "http://" + netip.AddrPortFrom(address, port).String() + "/",
				turn: time.Duration(random.Float64() * float64(p.Period)),
			})
		}
	}
	slices.SortFunc(turns, func(a, b dialTurn) int { return cmp.Compare(a.turn, b.turn) })
	return turns
}

// client returns a client of net/http that dials as the agent does, anew for each
// request.
func (p dialPlan) client() *http.Client {
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			DialContext:        (&net.Dialer{KeepAlive: -1}).DialContext,
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
	}
}

// get makes the request that the agent makes. Any status but 200 is an error.
func (p dialPlan) get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", p.UserAgent)
	request.Header.Set("Accept", "*/*")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", url, response.Status), response.Body.Close())
	}
	return response, nil
}

// fetch makes the request and reads the status alone.
func (p dialPlan) fetch(ctx context.Context, client *http.Client, url string) error {
	response, err := p.get(ctx, client, url)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// dialInLoop makes one request after the other, each at its turn.
func dialInLoop(ctx context.Context, arguments []string) error {
	plan, err := readDialPlan(arguments)
	if err != nil {
		return err
	}
	client, turns := plan.client(), plan.turns()
	timer := time.NewTimer(0)
	<-timer.C
	for began := time.Now(); ; began = began.Add(plan.Period) {
		for _, turn := range turns {
			timer.Reset(time.Until(began.Add(turn.turn)))
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
			if err := plan.fetch(ctx, client, turn.url); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// dialInGoroutines has a goroutine and a ticker for each target.
func dialInGoroutines(ctx context.Context, arguments []string) error {
	plan, err := readDialPlan(arguments)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, turn := range plan.turns() {
		group.Go(func() error { return plan.dialRegularly(ctx, turn) })
	}
	return group.Wait()
}

// dialRegularly makes requests of one target from its turn on.
func (p dialPlan) dialRegularly(ctx context.Context, turn dialTurn) error {
	if sleep(ctx, turn.turn) != nil {
		return nil
	}
	ticker := time.NewTicker(p.Period)
	defer ticker.Stop()
	for {
		if err := p.examine(ctx, turn.url); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

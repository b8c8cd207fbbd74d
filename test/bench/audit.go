package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// request is what the audit log tells of one request.
type request struct {
	// agent is the program, by its User-Agent up to the slash.
	agent string
	verb  string
	// resource has the subresource after a slash, if there is one.
	resource string
	code     int
	at       time.Time
}

// write tells whether a request would change an object.
func (r request) write() bool {
	switch r.verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// mark is a place in the audit log.
type mark int64

// mark returns the present end of the audit log.
func (c *cluster) mark() (mark, error) {
	info, err := os.Stat(c.audit)
	if err != nil {
		return 0, err
	}
	return mark(info.Size()), nil
}

// requests returns what the API server was asked since a place in its audit log.
func (c *cluster) requests(since mark) ([]request, error) {
	log, err := os.Open(c.audit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	if _, err := log.Seek(int64(since), io.SeekStart); err != nil {
		return nil, err
	}
	var requests []request
	reader := bufio.NewReaderSize(log, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			// What follows the last line is not written out yet.
			return requests, ignoreEnd(err)
		}
		r, err := parseRequest(line)
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func parseRequest(line []byte) (request, error) {
	var event struct {
		Verb           string
		UserAgent      string
		ObjectRef      struct{ Resource, Subresource string }
		ResponseStatus struct{ Code int }
		StageTimestamp time.Time
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return request{}, err
	}
	agent, _, _ := strings.Cut(event.UserAgent, "/")
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return request{agent, event.Verb, resource, event.ResponseStatus.Code, event.StageTimestamp}, nil
}

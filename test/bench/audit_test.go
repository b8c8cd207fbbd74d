package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const (
	patched = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete",` +
		`"requestURI":"/apis/exposedapp.dev/v1alpha1/namespaces/a/exposedapps/b/status?force=true","verb":"patch",` +
		`"user":{"username":"someone"},"userAgent":"exposedapp-operator/v1.2.3 (linux)",` +
		`"objectRef":{"resource":"exposedapps","namespace":"a","name":"b","subresource":"status"},` +
		`"responseStatus":{"metadata":{},"code":200},` +
		`"requestReceivedTimestamp":"2026-01-02T03:04:05.000000Z","stageTimestamp":"2026-01-02T03:04:05.006000Z"}` + "\n"
	discovered = `{"verb":"get","userAgent":"kubectl","requestURI":"/apis","responseStatus":{"code":200},` +
		`"stageTimestamp":"2026-01-02T03:04:06Z"}` + "\n"
	refused = `{"verb":"create","userAgent":"x/1","objectRef":{"resource":"services"},` +
		`"responseStatus":{"code":409},"stageTimestamp":"2026-01-02T03:04:07Z"}` + "\n"
)

func TestParseRequest(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		want request
	}{
		"of a subresource": {patched, request{
			agent: "exposedapp-operator", verb: "patch", resource: "exposedapps/status", code: 200,
			at: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC),
		}},
		"of no resource": {discovered, request{
			agent: "kubectl", verb: "get", code: 200, at: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		}},
		"refused": {refused, request{
			agent: "x", verb: "create", resource: "services", code: 409, at: time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := parseRequest([]byte(test.line))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(test.want))
		})
	}
}

func TestParseRequestOfHalfALine(t *testing.T) {
	_, err := parseRequest([]byte(patched[:100]))
	NewWithT(t).Expect(err).To(HaveOccurred())
}

func TestRequestsSinceAMark(t *testing.T) {
	g := NewWithT(t)
	c := &cluster{audit: filepath.Join(t.TempDir(), "audit.log")}
	log, err := os.Create(c.audit)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = log.Close() }()
	write := func(text string) {
		_, err := log.WriteString(text)
		g.Expect(err).NotTo(HaveOccurred())
	}

	write(discovered)
	begun, err := c.mark()
	g.Expect(err).NotTo(HaveOccurred())
	// The last line is still being written.
	write(patched + refused + patched[:50])
	requests, err := c.requests(begun)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(requests).To(HaveLen(2))
	g.Expect(requests[0].agent).To(Equal("exposedapp-operator"))
	g.Expect(requests[1].code).To(Equal(409))

	own, err := c.operatorRequests(begun)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(own).To(Equal(requests[:1]))
}

func TestKindsOfRequests(t *testing.T) {
	for name, test := range map[string]struct {
		request              request
		write, object, reads bool
	}{
		"patch of a status":      {request{verb: "patch", resource: "exposedapps/status"}, true, true, false},
		"create of an Event":     {request{verb: "create", resource: "events"}, true, false, false},
		"delete of many":         {request{verb: "deletecollection", resource: "services"}, true, true, false},
		"list":                   {request{verb: "list", resource: "services"}, false, false, true},
		"discovery":              {request{verb: "get"}, false, false, false},
		"watch, which reads too": {request{verb: "watch", resource: "services"}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(test.request.write()).To(Equal(test.write))
			g.Expect(test.request.writesObject()).To(Equal(test.object))
			g.Expect(test.request.readsObject()).To(Equal(test.reads))
		})
	}
}

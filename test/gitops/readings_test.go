package gitops

import (
	"github.com/exposedapp/exposedapp/test/kstatus"
)

// readings are what tools should make of the golden statuses, by their names.
func readings() map[string]reading {
	const (
		ready, reconciling, stalled = "Ready", "Reconciling", "Stalled"
		script                      = ""
	)
	return map[string]reading{
		"fresh":                                {kstatus.InProgress, progressing, script},
		"pending":                              {kstatus.InProgress, progressing, reconciling},
		"pending-deployment":                   {kstatus.InProgress, progressing, reconciling},
		"rollout-in-progress":                  {kstatus.InProgress, progressing, reconciling},
		"rollout-not-seen-by-its-controller":   {kstatus.InProgress, progressing, reconciling},
		"rollout-finished-and-nobody-told-yet": {kstatus.InProgress, progressing, reconciling},
		"ready":                                {kstatus.Current, healthy, ready},
		"ready-again":                          {kstatus.Current, healthy, ready},
		"new-generation-not-observed":          {kstatus.InProgress, progressing, script},
		"new-generation-not-observed-stalled":  {kstatus.InProgress, progressing, script},
		"deleting":                             {kstatus.Terminating, healthy, ready},
		"deleting-stalled":                     {kstatus.Terminating, degraded, stalled},

		"suspended-ready":                    {kstatus.Current, healthy, ready},
		"suspended-before-anything-was-made": {kstatus.InProgress, suspended, ready},
		"suspended-before-the-port-moved":    {kstatus.InProgress, suspended, ready},
		"suspended-mid-rollout":              {kstatus.InProgress, progressing, ready},
		"suspended-with-a-node-out-of-reach": {kstatus.InProgress, degraded, ready},

		"progress-deadline-exceeded":                      {kstatus.InProgress, degraded, ready},
		"progress-deadline-exceeded-and-older-pods-serve": {kstatus.InProgress, degraded, ready},
		"crash-loop":                           {kstatus.InProgress, degraded, ready},
		"crash-loop-of-the-first-pods":         {kstatus.InProgress, progressing, reconciling},
		"too-few-pods":                         {kstatus.InProgress, degraded, ready},
		"quota-exceeded":                       {kstatus.InProgress, degraded, ready},
		"pods-not-allowed":                     {kstatus.InProgress, progressing, reconciling},
		"image-not-there":                      {kstatus.InProgress, progressing, reconciling},
		"image-not-there-and-older-pods-serve": {kstatus.InProgress, progressing, reconciling},
		"image-not-there-for-too-long":         {kstatus.InProgress, degraded, ready},
		"too-little-room":                      {kstatus.InProgress, progressing, reconciling},
		"rollout-paused":                       {kstatus.InProgress, suspended, ready},
		"ready-while-rollouts-are-paused":      {kstatus.Current, healthy, ready},
		"ready-while-somebody-else-scales":     {kstatus.Current, healthy, ready},
		"scaled-to-zero":                       {kstatus.InProgress, suspended, ready},
		"no-ready-endpoints":                   {kstatus.InProgress, progressing, reconciling},

		"port-conflict":                           {kstatus.Failed, degraded, stalled},
		"port-conflict-while-another-is-held":     {kstatus.Failed, degraded, stalled},
		"port-conflict-in-a-namespace-that-goes":  {kstatus.Failed, degraded, stalled},
		"port-conflict-whose-holder-leaves":       {kstatus.InProgress, progressing, reconciling},
		"port-conflict-whose-holder-moves":        {kstatus.InProgress, progressing, reconciling},
		"port-conflict-with-an-app-that-may-move": {kstatus.InProgress, progressing, reconciling},
		"children-of-a-former-app":                {kstatus.InProgress, progressing, reconciling},
		"refused-by-a-quota":                      {kstatus.InProgress, progressing, reconciling},
		"refused-for-what-others-changed":         {kstatus.InProgress, progressing, reconciling},
		"port-out-of-range":                       {kstatus.Failed, degraded, stalled},
		"name-conflict-of-the-deployment":         {kstatus.Failed, degraded, stalled},
		"name-conflict-of-the-service":            {kstatus.Failed, degraded, stalled},
		"invalid-app":                             {kstatus.Failed, degraded, stalled},
		"invalid-app-and-an-older-one-serves":     {kstatus.Failed, degraded, stalled},
		"apply-failed":                            {kstatus.InProgress, progressing, script},
		"apply-failed-of-a-new-generation":        {kstatus.InProgress, progressing, script},
		"apply-failed-while-all-is-well":          {kstatus.InProgress, healthy, ready},
		"apply-failed-and-port-conflict":          {kstatus.InProgress, progressing, script},
		"apply-failed-in-a-namespace-that-goes":   {kstatus.InProgress, progressing, reconciling},

		"node-answers-without-a-pod":                     {kstatus.InProgress, degraded, ready},
		"node-unreachable":                               {kstatus.InProgress, degraded, ready},
		"nodes-unreachable-in-every-way":                 {kstatus.InProgress, degraded, ready},
		"node-partially-reachable":                       {kstatus.InProgress, degraded, ready},
		"node-unreachable-from-outside":                  {kstatus.InProgress, degraded, ready},
		"nodes-behind-a-socket-load-balancer":            {kstatus.InProgress, progressing, ready},
		"some-behind-a-socket-load-balancer":             {kstatus.Current, healthy, ready},
		"node-unreachable-behind-a-socket-load-balancer": {kstatus.InProgress, degraded, ready},
		"node-without-observer":                          {kstatus.InProgress, progressing, ready},
		"node-pending":                                   {kstatus.InProgress, progressing, reconciling},
		"node-unreachable-at-hand":                       {kstatus.InProgress, degraded, ready},
		"ready-from-self-only":                           {kstatus.Current, healthy, ready},
		"ready-with-a-suspect-observer":                  {kstatus.Current, healthy, ready},
		"ready-with-nodes-not-expected":                  {kstatus.Current, healthy, ready},
		"ready-with-as-many-as-needed":                   {kstatus.Current, healthy, ready},
		"ready-whatever-nodes-say":                       {kstatus.Current, healthy, ready},
		"no-expected-nodes":                              {kstatus.InProgress, degraded, ready},
		"fewer-nodes-than-needed":                        {kstatus.InProgress, degraded, ready},
		"too-many-unknown":                               {kstatus.InProgress, progressing, ready},
	}
}

// Package metricsauth lets those read the metrics who may: it asks the API
// server who a bearer token stands for, and whether that user may get the path.
//
// controller-runtime's own filter does the same by way of the API server's
// libraries, which make the operator's program 20 MiB larger, and as much of it
// stays resident. A scrape here costs two requests and caches nothing.
package metricsauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// reviewTimeout is how long the API server may take to tell who asks and
// whether they may.
const reviewTimeout = 10 * time.Second

var (
	errUnauthorized = errors.New("a valid bearer token is needed")
	errForbidden    = errors.New("the user may not get this path")
)

// reviewer asks the API server about requests.
type reviewer struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
}

// WithTokenReview returns a filter for the metrics server. It answers 401 to a
// request without a token that the API server knows, 403 to a user who may not
// get the path (a nonResourceURL in RBAC), and 500 where it cannot tell.
func WithTokenReview(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	reviewer := &reviewer{tokens: authentication.TokenReviews(), access: authorization.SubjectAccessReviews()}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			switch err := reviewer.review(request); {
			case err == nil:
				next.ServeHTTP(w, request)
			case errors.Is(err, errUnauthorized):
				http.Error(w, err.Error(), http.StatusUnauthorized)
			case errors.Is(err, errForbidden):
				http.Error(w, err.Error(), http.StatusForbidden)
			default:
				log.Error(err, "Cannot tell whether a request may read the metrics")
				http.Error(w, "cannot ask the API server", http.StatusInternalServerError)
			}
		}), nil
	}, nil
}

// review returns nil for a request that may pass.
func (r *reviewer) review(request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), reviewTimeout)
	defer cancel()
	scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return errUnauthorized
	}
	identity, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review token: %w", err)
	}
	if !identity.Status.Authenticated {
		return errUnauthorized
	}
	access, err := r.access.Create(ctx, accessReview(&identity.Status.User, request), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review access: %w", err)
	}
	if !access.Status.Allowed {
		return errForbidden
	}
	return nil
}

func accessReview(user *authenticationv1.UserInfo, request *http.Request) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{
			Path: request.URL.Path, Verb: strings.ToLower(request.Method),
		},
	}}
}

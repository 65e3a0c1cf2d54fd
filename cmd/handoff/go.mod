module handoff/cmd/handoff

go 1.26.4

require (
	handoff/services/api v0.0.0
	handoff/services/imager v0.0.0
	handoff/services/mailer v0.0.0
	handoff/services/notifier v0.0.0
	handoff/services/tasker v0.0.0
	handoff/shared v0.0.0
)

replace (
	handoff/services/api => ../../services/api
	handoff/services/imager => ../../services/imager
	handoff/services/mailer => ../../services/mailer
	handoff/services/notifier => ../../services/notifier
	handoff/services/tasker => ../../services/tasker
	handoff/shared => ../../shared
)

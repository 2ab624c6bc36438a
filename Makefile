# The verbs people try first; each is one command of npm or Docker.
COMPOSE := docker compose --env-file deploy/compose.env
DEMO := $(COMPOSE) -f docker-compose.yml -f deploy/compose.demo.yml

.PHONY: help run test bench demo clean compose-env up up-demo infra down

help:
	@echo "make run          start the platform on this machine (npm start)"
	@echo "make test         every check and every test (npm test)"
	@echo "make bench        measure it (npm run bench)"
	@echo "make demo         a crowd of 20,000 storms a flash sale (npm run demo:sale)"
	@echo "make clean        remove the data of npm start (.data); it must not be running"
	@echo "make compose-env  write deploy/compose.env with random secrets, once"
	@echo "make up           build the image and start everything in containers"
	@echo "make up-demo      the same with the mock payment provider"
	@echo "make infra        only MySQL, Redis and NATS in containers"
	@echo "make down         stop the containers; their data stays"

run:
	npm start

test:
	npm test

bench:
	npm run bench

demo:
	npm run demo:sale

# The launcher's lock tells whether it runs; a folder that is in use is left alone.
clean:
	@if [ -S .data/run/control.sock ]; then echo "npm start seems to run: stop it first"; exit 1; fi
	rm -rf .data

compose-env: deploy/compose.env

# Written beside its place and renamed, so that a failure leaves no half of it; never overwritten.
deploy/compose.env:
	@umask 077 && { \
	  for name in MYSQL_ROOT_PASSWORD REDIS_PASSWORD NATS_PASSWORD ADMIN_PASSWORD \
	    REDIS_EDGE_PASSWORD REDIS_CORE_PASSWORD REDIS_WORKER_PASSWORD NATS_EDGE_PASSWORD \
	    NATS_CORE_PASSWORD NATS_WORKER_PASSWORD GRAFANA_ADMIN_PASSWORD; do echo "$$name=p$$(openssl rand -hex 20)" || exit 1; done; \
	  for name in DATABASE_SECRET JWT_SECRET API_CLIENT_SECRET; do \
	    echo "$$name=$$(openssl rand -hex 32)" || exit 1; done; \
	  echo "PAYMENT_WEBHOOK_SECRET=whsec_$$(openssl rand -base64 33)"; \
	  echo "AUDIT_SIGNING_KEY=$$(openssl genpkey -algorithm ed25519 -outform DER | openssl base64 -A)"; \
	  echo "PUBLIC_URL=http://localhost:8080"; \
	} > $@.new && mv $@.new $@
	@echo "wrote $@"

up: deploy/compose.env
	$(COMPOSE) up --build --wait

up-demo: deploy/compose.env
	$(DEMO) up --build --wait

infra: deploy/compose.env
	$(COMPOSE) -f docker-compose.infra.yml up --wait

down: deploy/compose.env
	$(COMPOSE) down

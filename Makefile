# Every target is one script or one command; arguments go through ARGS, e.g. make test ARGS="--filter RedisClientTests".

.PHONY: help demo test model chaos serve-storm lint build release bench clean

help:  ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

demo:  ## clean two million rows of a private Distr-shaped database (KEEP=1 keeps the servers)
	@deploy/demo

test:  ## run all tests on private servers
	@deploy/test $(ARGS)

chaos:  ## storms of kills, restarts and lost connections on 3 million rows (SEEDS="1 2 3 4 5"; SEED=7 repeats one)
	@deploy/chaos

serve-storm:  ## kill three schedulers at random for some minutes; each slot fires once (MINUTES=6)
	@deploy/serve-storm

model:  ## walk far over the queue's scripts and their model (EBB_MODEL_SEEDS=1,2 EBB_MODEL_STEPS=100000)
	@deploy/model $(ARGS)

lint:  ## check format and rules of style
	@deploy/lint

build:  ## debug build of everything
	@deploy/install && swift build

release:  ## optimised producer and worker in .build/release
	@deploy/install && swift build -c release --product producer && swift build -c release --product worker

bench:  ## compare with a plain DELETE, and with Distr's and AYON's own statements (see Benchmarks/README.md)
	@Benchmarks/deletion
	@Benchmarks/distr
	@Benchmarks/ayon
	@Benchmarks/sessions

clean:  ## remove what was built
	rm -rf .build

# Every command of the project; the work is done by compose/stack (one shell script, then Python).
#
# GNU make answers every failed recipe with status 2. In question mode (-q) it runs only the recipe
# lines marked with +, and passes a status of 1 on as it is: so a verdict that failed ends make with 1,
# wrong usage with 2, and 3 (not reachable) becomes a 2 whose line says "Error 3".
# Variables of its own are in small letters: those in capitals are the user's, such as RUN.
ifeq (,$(findstring n,$(firstword -$(MAKEFLAGS))))
MAKEFLAGS += -q
stack := +@compose/stack.sh
else
stack := @compose/stack.sh
endif
# With CDPATH a script would change to another project's folder of our name.
unexport MAKEFLAGS CDPATH
# The names on the command line, of which our commands refuse those that nothing reads.
export MAKE_NAMES :=
# A value of the command line is text: make would expand it for each recipe, a $(shell …) in it, too.
$(foreach name,$(.VARIABLES),$(if $(findstring command,$(origin $(name))),\
  $(eval override $(name) := $$(value $(name)))$(eval export $(name))\
  $(eval export MAKE_NAMES += $(name))))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

##@ Run
up: FORCE ## start the whole stack, wait until it is ready, print every URL
	$(stack) up
down: FORCE ## stop it; data stays
	$(stack) down
clean: FORCE ## stop it and remove its data; asks first, YES=1 answers
	$(stack) clean
mocks-on: FORCE ## switch the running stack to the mocks
	$(stack) mocks on
mocks-off: FORCE ## switch it to the real services (COMFYUI_URL, KLING_URL)
	$(stack) mocks off

##@ Prove
try: FORCE ## run one real job, after saying what it uses and asking (YES=1): PROMPT=… STYLE=…
	$(stack) try
prove: FORCE ## prove everything in one report: ladder, faults, kills, chaos, a broken build: SEED=…
	$(stack) prove
test-%: FORCE ## run N jobs and judge them: test-1 test-5 test-10 test-20 test-50 test-100, any N
	$(stack) jobs '$(subst ','\'',$*)'
ladder: FORCE ## run all six stages in one report
	$(stack) ladder
report: FORCE ## judge and draw a run again: RUN=name, by default the latest
	$(stack) report
bench: FORCE ## measure hand-over, take-over, long queues, throughput: ONLY=handover,takeover,waiting,intake,flood,throughput RUNS=5
	$(stack) bench
chaos: FORCE ## kill, freeze, cut and restart everything, and judge: MINUTES=5 SEED=…
	$(stack) chaos
simulate: FORCE ## run thousands of histories in virtual time, without a server: MINUTES=10 SEED=… KINDS=…
	$(stack) simulate
mutants: FORCE ## break the product in a hundred ways, and see each convicted by the judge: ONLY=name,name
	$(stack) mutants
fault: FORCE ## arm a fault in the mocks: RULE='{…}' or PRESET=name
	$(stack) fault
faults: FORCE ## list the armed faults, or all presets
	$(stack) faults
faults-clear: FORCE ## disarm all of them
	$(stack) faults-clear
slot-free: FORCE ## give up a drain that cannot end: RUN=run_id NAME=job|image|video
	$(stack) slot-free

##@ Look
ps: FORCE ## state of every service
	$(stack) ps
logs: FORCE ## logs of a service: S=worker; LINES=100, FOLLOW=0|1
	$(stack) logs
urls: FORCE ## print every address
	$(stack) urls
namespace: FORCE ## create the namespace on another Temporal server, or print the commands: DAYS=3
	$(stack) namespace
doctor: FORCE ## check this machine and the real services, with a fix for each finding
	$(stack) doctor

##@ Develop
wheel: FORCE ## build dist/temporal_semaphore-*.whl, the semaphore as a library
	$(stack) wheel
example-exclusive: FORCE ## the example of the semaphore as a library, through kill -9, cancel and terminate
	$(stack) example-exclusive
example-speech: FORCE ## run two pipelines on one slot, through faults, kill -9 and terminate
	$(stack) example-speech
test: FORCE ## run every automated test; ARGS='…' goes to pytest
	$(stack) test
check: FORCE ## check format, lint, types, layers, documentation
	$(stack) check
pictures: FORCE ## draw the pictures of the documentation again, with a separate stack
	$(stack) pictures
lock: FORCE ## write the hashed locks again
	$(stack) lock
help: FORCE ## this list
	+@awk 'BEGIN {FS = ":.*## "; print "make TARGET [NAME=value …]"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z%-]+:.*## / {sub(/%/, "N", $$1); printf "  %-17s  %s\n", $$1, $$2} \
	  END {print "\nSettings: MODE=docker|local|auto  WORKERS=n  MOCKS=on|off|image|video, and all of .env.example"}' \
	  $(firstword $(MAKEFILE_LIST)) | compose/translate.sh

FORCE:

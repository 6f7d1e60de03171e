# weft: see `make help`.

BUILD   ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
VERSION := $(shell cat agent/base/VERSION)

PKGS_weftd    := libnl-3.0 libnl-route-3.0 libnl-genl-3.0 libnftables libuv yaml-0.1 libcjson libsodium libmicrohttpd
PKGS_weft-cni := libnl-3.0 jansson libsodium
PKGS_weftctl  := libcjson yaml-0.1 libsodium
PKGS_test     := $(PKGS_weftd) jansson cmocka

PROGRAMS := weftd weft-cni weftctl
MAIN_weftd    := agent/daemon/main.c
MAIN_weft-cni := agent/cni/main.c
MAIN_weftctl  := agent/ctl/main.c

SANITIZE ?=
OPT      ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wno-unknown-warning-option -Wno-format-truncation
CPPFLAGS := -I. -Iinclude -D_GNU_SOURCE -DWEFT_VERSION='"$(VERSION)"' -D_FORTIFY_SOURCE=2 \
            $(shell pkg-config --cflags-only-I $(PKGS_weftd) cmocka 2>/dev/null)
CFLAGS   := -std=gnu17 $(OPT) $(WARN) -fstack-protector-strong -fPIE -ffunction-sections -fdata-sections $(SANITIZE)
LDFLAGS  := -pie -Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro,-z,now $(SANITIZE)
# weft-cni is copied from an image to hosts with any libc, and started for each pod: no loader, no libraries.
# The linker's warnings are about libnl's name lookups, which it never calls.
LDFLAGS_weft-cni = $(if $(SANITIZE),$(LDFLAGS),$(filter-out -pie,$(LDFLAGS)) -static-pie -Wl,--no-warnings)
ifneq ($(SANITIZE),)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif

ALL_SRC  := $(sort $(wildcard agent/*/*.c ipam/*.c))
MAINS    := $(foreach p,$(PROGRAMS),$(MAIN_$(p)))
LIB_SRC  := $(filter-out $(MAINS),$(ALL_SRC))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
DRIVER_SRC := $(sort $(wildcard tests/unit/drivers/*.c))
DRIVER_BIN := $(DRIVER_SRC:tests/unit/drivers/%.c=$(BUILD)/drivers/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/bench/%)
HAVE     := $(foreach p,$(PROGRAMS),$(if $(wildcard $(MAIN_$(p))),$(p)))

.PHONY: all deps demo test check unit lab labtest asan lint format fuzz bench install clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(HAVE:%=$(BUILD)/%)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libweft.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^

define program_rule
$(BUILD)/$(1): $(BUILD)/$(MAIN_$(1):.c=.o) $(BUILD)/libweft.a
	@echo "  LINK  $$@"
	$$(Q)$(CC) $$(or $$(LDFLAGS_$(1)),$$(LDFLAGS)) $$^ -o $$@ $$$$(pkg-config --libs $(PKGS_$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libweft.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(PKGS_test))

$(BUILD)/drivers/%: $(BUILD)/tests/unit/drivers/%.o $(BUILD)/libweft.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(PKGS_test))

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libweft.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(PKGS_weftd))

deps: ## install Debian packages that building and testing need
	$(Q)tests/deps

check: unit ## unit tests only, seconds

unit: $(HAVE:%=$(BUILD)/%) $(UNIT_BIN)
	$(Q)tests/unit/run $(UNIT_BIN)

demo: deps ## the main job, shown step by step in the lab; under 3 minutes
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)tests/lab/vm -- tests/lab/demo

test: deps ## build, unit tests, lab tests; ends with `N passed, N failed`
	$(Q)$(MAKE) --no-print-directory -j2 all $(UNIT_BIN) $(DRIVER_BIN)
	$(Q)tests/run

lab: deps all ## a shell in the lab: the data centre is up, look around
	$(Q)tests/lab/vm -- tests/lab/shell

labtest: all $(DRIVER_BIN) $(UNIT_BIN) ## lab tests only; K=pattern selects
	$(Q)tests/lab/vm -- tests/lab/run $(if $(K),-k $(K))

asan: ## unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)$(MAKE) --no-print-directory BUILD=build-asan OPT="-O1 -g" \
	  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" check

lint: ## formatting, static analysis, include rules, two compilers
	$(Q)tests/lint/run

format: ## rewrite sources with clang-format
	$(Q)find . -path './build*' -prune -o -name '*.[ch]' -print | xargs clang-format -i

fuzz: ## run every fuzzer for FUZZ_SECONDS (default 20) each
	$(Q)$(MAKE) --no-print-directory BUILD=build-fuzz CC=clang OPT="-O1 -g" \
	  SANITIZE="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" build-fuzz-all
	$(Q)tests/fuzz/run

.PHONY: build-fuzz-all
build-fuzz-all: $(FUZZ_BIN)

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libweft.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $$(pkg-config --libs $(PKGS_test))

bench: deps ## benchmarks: ratios against named rivals in one run
	$(Q)$(MAKE) --no-print-directory -j2 all $(BENCH_BIN)
	$(Q)tests/lab/vm -- tests/bench/run

install: all ## install under DESTDIR and PREFIX
	install -Dm755 $(BUILD)/weftd $(DESTDIR)$(PREFIX)/sbin/weftd
	install -Dm755 $(BUILD)/weftctl $(DESTDIR)$(PREFIX)/bin/weftctl
	install -Dm755 $(BUILD)/weft-cni $(DESTDIR)/opt/cni/bin/weft-cni
	install -d $(DESTDIR)$(PREFIX)/share/weft/bird-templates
	install -m644 $(wildcard bird-templates/*.conf) $(DESTDIR)$(PREFIX)/share/weft/bird-templates/
	install -Dm644 deploy/rt_protos.d/weft.conf $(DESTDIR)/etc/iproute2/rt_protos.d/weft.conf
	install -Dm644 deploy/modules-load.d/weft.conf $(DESTDIR)/etc/modules-load.d/weft.conf
	install -d $(DESTDIR)/etc/weft $(DESTDIR)/etc/cni/net.d $(DESTDIR)$(PREFIX)/share/weft/examples $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m644 $(wildcard deploy/examples/*.yaml) deploy/weft-bird.service.d/graceful.conf $(DESTDIR)$(PREFIX)/share/weft/examples/
	sed 's|/usr/local/|$(PREFIX)/|' deploy/weft.yaml >$(DESTDIR)$(PREFIX)/share/weft/examples/weft.yaml
	sed 's|/usr/local/|$(PREFIX)/|' deploy/weftd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/weftd.service
	install -m644 deploy/weft-bird.service $(DESTDIR)$(PREFIX)/lib/systemd/system/weft-bird.service

clean: ## remove what was built
	rm -rf build build-asan build-fuzz build-clang

help: ## this text
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

-include $(LIB_OBJ:.o=.d) $(MAINS:%.c=$(BUILD)/%.d) $(UNIT_SRC:%.c=$(BUILD)/%.d) $(DRIVER_SRC:%.c=$(BUILD)/%.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d) $(BENCH_SRC:%.c=$(BUILD)/%.d)

# Every command of this house. `make` or `make help` lists them; .ci/run and README.md call the same ones.
# 本项目的全部命令：运行 make 或 make help 查看。

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := .venv/.ready
# Hashes and no addresses; what runs in production is what was tested, so runtime is resolved under the dev lock.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: help setup demo serve test battery check fix migrate docs bench bench-scale bench-soak bench-flame bench-report bench-lapses bench-absent bench-log bench-verify lock

help: ## list the commands 列出命令
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv/ with everything in it 安装环境

# Made anew whenever the lock file or pyproject.toml has changed; otherwise there is nothing to do.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12  需要 Python 3.11 或更高版本" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || \
		{ echo "python3 lacks venv; on Debian: apt-get install python3-venv  缺少 venv 模块" >&2; exit 1; }
	@echo "Installing the locked packages into .venv/ (a minute or two the first time) 正在安装依赖，请稍候"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@requirements/pooler.sh || true
	@touch $@

demo: $(READY) ## a dispute of a real county, from village to court and back 演示：一起纠纷的全过程
	@$(BIN)/mediation demo

serve: $(READY) ## serve the demo county on loopback 在本机打开演示县
	@$(BIN)/mediation serve --demo

test: $(READY) ## the quick whole: a tenth of the heavy counts 快速全量测试
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

battery: $(READY) ## the whole with full counts 完整压力测试
	@MEDIATION_BATTERY=1 $(BIN)/pytest -n 2 --dist loadfile --timeout 3600 $(ARGS)

check: $(READY) ## style, types, floors, dependencies, Dockerfile, generated pages 静态检查
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: make fix  格式不符：运行 make fix" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry --no-ansi .
	@$(BIN)/hadolint Dockerfile
	@if [ -f docs/generate.py ]; then $(BIN)/python docs/generate.py --check; fi
	@echo "check: all is well 检查通过"

fix: $(READY) ## repair what the tools can repair 自动修正格式
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migrate: $(READY) ## bring the database to the newest version 数据库迁移
	@$(BIN)/mediation migrate

docs: $(READY) ## write the generated pages, the diagram and the API file 生成文档
	@$(BIN)/python docs/generate.py
	@$(BIN)/mediation openapi --output openapi/mediation.json

bench: $(READY) ## every workload beside pgbench with its statements 性能对照
	@$(BIN)/python bench/run.py $(ARGS)

bench-scale: $(READY) ## the same with a million cases beside ten thousand 百万案件对照
	@$(BIN)/python bench/scale.py $(ARGS)

bench-soak: $(READY) ## half an hour at 70 % of the most 半小时稳定性
	@$(BIN)/python bench/soak.py $(ARGS)

bench-flame: $(READY) ## where the CPU of a step goes 处理一步的时间分布
	@$(BIN)/python bench/flame.py $(ARGS)

bench-report: $(READY) ## docs/benchmarks.md from the figures of the benches 生成性能报告
	@$(BIN)/python bench/report.py
	@$(BIN)/python bench/needs.py

bench-lapses: $(READY) ## a night of 100,000 lapses 一夜十万个期限届满
	@$(BIN)/python bench/lapses.py --cases 100000 $(ARGS)

bench-absent: $(READY) ## whether time tells an invisible case from an absent one 不可见与不存在的耗时
	@$(BIN)/python bench/absent.py $(ARGS)

bench-log: $(READY) ## a million events integrated, exported, verified; steps with the log and without 签名日志的代价
	@$(BIN)/python bench/log.py $(ARGS)

bench-verify: $(READY) ## how fast a history is verified 校验速度
	@$(BIN)/python bench/verify.py $(ARGS)

lock: $(READY) ## resolve the lock files anew 更新依赖锁
	@$(LOCK) pyproject.toml --group dev --output-file requirements/dev.txt $(ARGS)
	@$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	@echo setuptools | $(LOCK) - --constraint requirements/dev.txt --output-file requirements/build.txt

#!/usr/bin/env bash
# The quick start of document 000, line by line. It wants a control server on port 32768 whose first administrator was
# made with the document's password (GPUCTL_ADMIN_PASSWORD_FILE), and an inference runtime whose API is on port 32769.
set -euo pipefail

REGISTER_RES=$(curl -sS http://localhost:32768/v0/nodes \
  -H "Content-Type: application/json" \
  -d '{
    "machine_name": "server-01",
    "ip_address": "127.0.0.1",
    "runtime_version": "0.1.0",
    "runtime_port": 32768,
    "gpu_available": true,
    "gpu_devices": [{"model":"NVIDIA RTX 4090","count":1}]
  }')

echo "$REGISTER_RES" | jq .

LOGIN_RES=$(curl -sS http://localhost:32768/v0/auth/login \
  -H "Content-Type: application/json" \
  -d '{
    "username": "admin",
    "password": "test"
  }')

echo "$LOGIN_RES" | jq .
JWT_TOKEN=$(echo "$LOGIN_RES" | jq -r .token)

NODE_ID=$(echo "$REGISTER_RES" | jq -r .runtime_id)

curl -sS http://localhost:32768/v0/nodes/${NODE_ID}/approve \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer ${JWT_TOKEN}" | jq .

curl -sS http://localhost:32768/v0/nodes | jq .

NODE_ID=$(echo "$REGISTER_RES" | jq -r .runtime_id)
NODE_TOKEN=$(echo "$REGISTER_RES" | jq -r .runtime_token)

curl -sS http://localhost:32768/v0/health \
  -H "Content-Type: application/json" \
  -H "X-Node-Token: ${NODE_TOKEN}" \
  -d "{
    \"runtime_id\": \"${NODE_ID}\",
    \"cpu_usage\": 12.3,
    \"memory_usage\": 45.6,
    \"active_requests\": 0,
    \"average_response_time_ms\": 110.0,
    \"loaded_models\": [\"gpt-oss-20b\"],
    \"loaded_embedding_models\": [],
    \"initializing\": false,
    \"ready_models\": [1, 1]
  }" | jq .

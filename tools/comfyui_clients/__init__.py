"""Public clients of ComfyUI against the mock, by hand: what each of them makes of its native wire.

In an environment that has `comfy-api-simplified==1.6.0`, `comfyui-utils==0.0.1`,
`comfyui-xy==0.3.0`, `comfy-catapult==3.0.0` and `comfy-script[runtime]==0.6.1`, and nothing of this
project: `python -m tools.comfyui_clients http://127.0.0.1:6889`.
Those that run under Node: `node.mjs`.
"""

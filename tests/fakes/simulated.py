"""What a simulated rollout came to, where its costs are no matter."""

from deploy.simulation.outcome import Cost

FREE = Cost(
    device_received_bytes=0,
    device_sent_bytes=0,
    device_messages=0,
    devices_cpu_s=0.0,
    controller_cpu_s=0.0,
    broker_cpu_s=0.0,
    broker_peak_bytes=0,
    devices_peak_bytes=0,
)

from agent.adapters.link_mqtt.link import MqttLink
from agent.adapters.link_mqtt.settings import LinkSettings, Tls

__all__ = ["LinkSettings", "MqttLink", "Tls"]

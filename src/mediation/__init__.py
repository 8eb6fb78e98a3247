"""Case-workflow service for dispute mediation (矛盾纠纷调解)."""

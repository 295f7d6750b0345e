"""Sealed secrets; filled when connections arrive."""

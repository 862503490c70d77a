"""A function for the server: the model can call it, and so can you.

FUNCTIONS_DIR=examples/functions llm-api functions call calculate_tip bill_amount=80
"""

from llm_api import function_registry


@function_registry.register
def calculate_tip(bill_amount: float, tip_percentage: float = 15.0) -> dict[str, float]:
    """Calculate tip amount and total bill.

    Args:
        bill_amount: The bill before the tip.
        tip_percentage: Percent of the bill.
    """
    tip = bill_amount * tip_percentage / 100
    return {"tip": tip, "total": bill_amount + tip}

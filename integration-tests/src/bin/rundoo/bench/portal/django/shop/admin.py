from django.contrib import admin

from shop.models import Product


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "sku", "update_time"]
    search_fields = ["name", "category", "sku"]
    list_per_page = 50

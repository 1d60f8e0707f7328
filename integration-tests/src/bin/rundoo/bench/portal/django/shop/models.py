from django.db import models


class Product(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    category = models.TextField()
    sku = models.TextField()
    update_time = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "products"
        ordering = ["-id"]
